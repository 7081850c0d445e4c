"""Makes a bucket in moto, and a user who may read and write it; prints the user's keys. Arguments: address, bucket."""

import json
import sys

import boto3

address, bucket = sys.argv[1:]
options = {
    "endpoint_url": address,
    "region_name": "us-east-1",
    "aws_access_key_id": "anybody",
    "aws_secret_access_key": "anything",
}
boto3.client("s3", **options).create_bucket(Bucket=bucket)
iam = boto3.client("iam", **options)
iam.create_user(UserName="models")
allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
policy = {"Version": "2012-10-17", "Statement": [allowed]}
iam.put_user_policy(UserName="models", PolicyName="models", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="models")["AccessKey"]
print(json.dumps({"accessKeyId": key["AccessKeyId"], "secretAccessKey": key["SecretAccessKey"]}))
