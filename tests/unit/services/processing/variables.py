"""The environment variables of this service's functions that other services' have not."""

import os

os.environ.update(
    {
        "WORKER_ARN": "arn:aws:lambda:us-east-1:111111111111:function:worker:live",
        "RECORD_DAYS": "7",
        "UPLOAD_MAX_BYTES": "1000",
        "UPLOAD_CONTENT_TYPES": "text/plain,application/json",
    }
)
