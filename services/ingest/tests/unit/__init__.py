from slipway.testing.functions import import_functions

QUEUE = "https://sqs.us-east-1.amazonaws.com/111111111111/"

VARIABLES = {
    "ENVIRONMENT": "dev",
    "TABLE_NAME": "records",
    "BUCKET_NAME": "bucket",
    "CORS_ORIGINS": "*",
    "TARGET_ALIAS_ARN": "arn:aws:lambda:us-east-1:111111111111:function:api:staging",
    "JOBS_TABLE_NAME": "jobs",
    "JOB_QUEUE_URL": f"{QUEUE}jobs",
    "WORK_QUEUE_URL": f"{QUEUE}work",
    "QUEUE_URL": f"{QUEUE}inbox",
    "DEAD_LETTER_QUEUE_URL": f"{QUEUE}dead-letters",
    "MAX_RECEIVES": "4",
    "RECORD_HOURS": "24",
    "DEADLINE_SECONDS": "21600",
}

import_functions("services.ingest.runtime", VARIABLES)
