"""Our own rules over the synthesised templates, in addition to cdk-nag's packs.

`pack.SlipwayRules` contains rules specific to this system; the modules beside it define its rules by subject,
and `planted.py` defines a stack that breaks each of them. `aws.pack.OnlyAwsRules` contains rules on AWS behaviour that
otherwise only shows at deployment, for any CDK app. Data with its sources is in `data/`. CDK is not loaded.
"""
