"""Makes buckets and puts objects into them with Amazon's own client; prints the version of each object put, in order.

Arguments: endpoint, access key, secret key, and the plan as JSON: [{name, versioned, public, objects: [{key, file}]}].
"""

import json
import sys

import boto3
from botocore.config import Config

endpoint, access_key, secret_key, plan = sys.argv[1:]
client = boto3.client(
    "s3",
    endpoint_url=endpoint,
    aws_access_key_id=access_key,
    aws_secret_access_key=secret_key,
    region_name="eu-central-7",
    config=Config(s3={"addressing_style": "path"}),
)
versions = []
for bucket in json.loads(plan):
    name = bucket["name"]
    if name not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-7"})
    if bucket.get("versioned"):
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    if bucket.get("public"):
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{name}/*",
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        client.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    for each in bucket["objects"]:
        with open(each["file"], "rb") as body:
            versions.append(client.put_object(Bucket=name, Key=each["key"], Body=body).get("VersionId"))
print(json.dumps(versions))
