from slipway.testing.functions import import_functions

VARIABLES = {
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

import_functions("services.items.runtime", VARIABLES)
