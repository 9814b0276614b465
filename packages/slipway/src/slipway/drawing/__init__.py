"""The pipeline as a picture, for every page that shows it: stages as cards, in each a row for what runs side by side.

`read.read_pipeline` takes it from a synthesised template; whoever has played it makes the same stages with a status on
each action. `draw.draw` makes pictures of them, and `draw.STYLE` is what the page needs in its style sheet.
"""
