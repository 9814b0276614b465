"""The nag gate: rule packs of cdk-nag and of one's own, judged from the report alone.

A library by itself: it imports nothing else of this repository, and another CDK project can lift the folder out. Then
`names.OUR_PACKS` is the only thing to change.

- `packs.register` lets the packs judge an app; `acknowledge.acknowledge` accepts a finding where it arises.
- `verdict.judge` reads the finished assembly and says green or red. It loads no CDK.
- `baseline` holds what is accepted against what was; `terminal`, `page` and `exports` show the verdict.
"""
