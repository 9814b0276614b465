"""Rules of our own over the synthesized templates, beside the packs.

`pack.SlipwayRules` holds what no pack knows of this system; the modules beside it hold its rules by subject, and
`planted.py` a stack that breaks each of them. `aws.pack.OnlyAwsRules` holds what only AWS would tell, for any CDK app.
Lists that are data, with their sources, lie in `data/`. No CDK is loaded.
"""
