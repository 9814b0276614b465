"""The environment variables of the functions, set before their modules are imported."""

import os

VARIABLES = {
    # Clients are made at import and never called.
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "unit",
    "AWS_SECRET_ACCESS_KEY": "unit",
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "AWS_LAMBDA_FUNCTION_VERSION": "7",
    "POWERTOOLS_SERVICE_NAME": "items",
    "POWERTOOLS_METRICS_NAMESPACE": "Slipway",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "ENVIRONMENT": "dev",
    "TABLE_NAME": "items",
    "IDEMPOTENCY_TABLE_NAME": "idempotency",
    "CURSOR_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:111111111111:secret:cursor",
    "ORIGIN_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:111111111111:secret:origin",
    "CORS_ORIGINS": "*",
    "BUCKET_NAME": "bucket",
    "TOPIC_ARN": "arn:aws:sns:us-east-1:111111111111:items.fifo",
    "TARGET_ALIAS_ARN": "arn:aws:lambda:us-east-1:111111111111:function:api:staging",
}
os.environ.update(VARIABLES)
