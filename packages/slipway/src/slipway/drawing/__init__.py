"""Draw the pipeline for every page that shows it: stages as cards, with a row for actions that run side by side.

`read.read_pipeline` reads it from a synthesised template; the rehearsal creates the same stages with a status on each
action. `draw.draw` draws them, and `draw.STYLE` is the CSS that the page needs.
"""
