"""AWS behaviours that neither synthesis nor an emulator shows, each as a rule over templates.

`pack.OnlyAwsRules` is the pack. The modules beside it define the rules by AWS service. They read templates and nothing
of this repository's configuration, so any CDK app can use them.
"""
