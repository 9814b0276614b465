"""Our own rules over the synthesised templates, in addition to cdk-nag's packs.

`pack.SlipwayRules` contains rules specific to this system; the modules beside it define its rules by subject, and
`planted.py` defines a stack that breaks each of them. `aws.pack.OnlyAwsRules` contains rules, for any CDK app, on AWS
behaviour that only shows at deployment. Data and its sources are in `data/`. The rules don't load CDK.
"""
