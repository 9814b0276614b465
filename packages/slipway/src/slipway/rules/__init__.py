"""Our own rules over the synthesised templates, beside the packs.

`pack.SlipwayRules` holds what no other pack knows about this system; the modules beside it define its rules by subject,
and `planted.py` defines a stack that breaks each of them. `aws.pack.OnlyAwsRules` holds AWS behaviour that otherwise
shows only at deployment, for any CDK app. Lists that are data, with their sources, are in `data/`. No CDK is loaded.
"""
