// Tells AWS's SDK for JavaScript v2 where AWS is: it knows nothing of the variable AWS_ENDPOINT_URL, which later SDKs
// read (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
'use strict';
const Module = require('node:module');
const load = Module._load;
Module._load = function (request, ...others) {
  const found = load.call(this, request, ...others);
  const endpoint = process.env.AWS_ENDPOINT_URL;
  if (endpoint && request === 'aws-sdk' && found && found.config && !found.config.endpoint) {
    found.config.update({ endpoint, s3ForcePathStyle: true });
  }
  return found;
};
