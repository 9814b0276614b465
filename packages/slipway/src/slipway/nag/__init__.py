"""The nag gate: rule packs of cdk-nag and our own, judged only from the report.

A self-contained library: it imports nothing else from this repository, so another CDK project can copy the folder and
change only `names.OUR_PACKS`.

- `packs.register` lets the packs judge an app; `acknowledge.acknowledge` accepts a finding where it arises.
- `verdict.judge` reads the finished assembly and says green or red. It loads no CDK.
- `baseline` compares the accepted findings with earlier ones; `terminal`, `page` and `exports` show the verdict.
"""
