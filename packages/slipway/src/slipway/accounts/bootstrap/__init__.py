"""Prepare an account for the pipeline: policies, a permissions boundary, and `cdk bootstrap`."""
