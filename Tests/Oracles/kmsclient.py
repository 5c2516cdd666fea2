"""botocore's KMS client against the server of Tests/ServerFixture at the given URL.

Prints one line for each thing that was asked; the tests know what it ought to say.
"""

import sys

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def client(region="us-east-1", key=KEY, secret=SECRET):
    return botocore.session.get_session().create_client(
        "kms",
        region_name=region,
        endpoint_url=sys.argv[1],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, parameter_validation=False),
    )


def refused(name, ask):
    try:
        ask()
        print(name, "was not refused")
    except ClientError as error:
        print(name, error.response["Error"]["Code"], error.response["Error"]["Message"])


kms = client()
answer = kms.encrypt(KeyId="k", Plaintext=b"secret", EncryptionContext={"é": '"'})
print("encrypt", answer["ResponseMetadata"]["HTTPStatusCode"], answer["CiphertextBlob"].hex())
answer = kms.decrypt(CiphertextBlob=b"secret")
print("decrypt", answer["ResponseMetadata"]["HTTPStatusCode"], answer["Plaintext"].hex())
answer = client("eu-central-1").describe_key(KeyId="k")
metadata = answer["KeyMetadata"]
print("describe", answer["ResponseMetadata"]["HTTPStatusCode"], metadata["KeyId"], metadata["Arn"])
refused("fail", lambda: kms.describe_key(KeyId="fail:DisabledException"))
refused("validate", lambda: kms.generate_random(NumberOfBytes=0))
refused("region", lambda: client("mars-north-1").list_keys())
refused("stranger", lambda: client(key="AKIAUNKNOWNUNKNOWN00").list_keys())
refused("liar", lambda: client(secret="x" * 40).list_keys())
