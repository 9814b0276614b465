"""Code of the functions that accompany the pipeline in the tools account. It imports no CDK."""
