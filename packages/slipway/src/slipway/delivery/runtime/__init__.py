"""Code that runs in the tools account beside the pipeline. It imports no CDK."""
