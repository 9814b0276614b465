from slipway.testing.functions import import_functions

VARIABLES = {
    "ENVIRONMENT": "dev",
    "TABLE_NAME": "records",
    "BUCKET_NAME": "bucket",
    "CORS_ORIGINS": "*",
    "TARGET_ALIAS_ARN": "arn:aws:lambda:us-east-1:111111111111:function:api:staging",
    "WORKER_ARN": "arn:aws:lambda:us-east-1:111111111111:function:worker:live",
    "RECORD_DAYS": "7",
    "UPLOAD_MAX_BYTES": "1000",
    "UPLOAD_CONTENT_TYPES": "text/plain,application/json",
}

import_functions("services.processing.runtime", VARIABLES)
