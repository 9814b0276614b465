"""What an account needs before the pipeline can deploy to it: policies, a permissions boundary, and `cdk bootstrap`."""
