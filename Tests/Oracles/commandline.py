"""Every subcommand of `aws kms`, with options, files and answers as people have them.

The URL of keyfold-serve, an administrator's access key and its secret are arguments; a token's id
and its PIN may follow, then custom key stores are made in it. Some subcommands run as programs of
their own; the others as new instances of the same program in this process, which takes a fifth of
the time. Prints what was left out, or that nothing was.
"""

import base64
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile

from awscli.clidriver import create_clidriver

URL, ACCESS, SECRET = sys.argv[1:4]
CLUSTER, PIN = sys.argv[4:6] if len(sys.argv) > 4 else (None, None)
os.environ.update(
    AWS_ENDPOINT_URL_KMS=URL, AWS_ACCESS_KEY_ID=ACCESS, AWS_SECRET_ACCESS_KEY=SECRET,
    AWS_DEFAULT_REGION="us-east-1", AWS_MAX_ATTEMPTS="1", AWS_PAGER="",
    AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")
called = set()


def in_process(words):
    output, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
        status = create_clidriver().main(words)
    return status, output.getvalue(), error.getvalue()


def as_program(words):
    done = subprocess.run(["aws", *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def aws(command, run=in_process, **options):
    """The answer of `aws kms COMMAND`; an option's list is several words, True is none."""
    refusal = options.pop("refused", None)
    words = ["kms", command]
    for name, value in options.items():
        words.append("--" + name.replace("_", "-"))
        values = [] if value is True else value if isinstance(value, list) else [value]
        words += [str(each) for each in values]
    status, output, error = run(words)
    called.add(command)
    if refusal:
        assert status != 0 and refusal in error, (words, status, output, error)
        return None
    assert status == 0, (words, status, output, error)
    if options.get("output") == "text":
        return output.strip()
    return json.loads(output) if output else None


def make(**options):
    return aws("create-key", **options)["KeyMetadata"]


def put(name, content):
    with open(name, "wb") as file:
        file.write(content)
    return "fileb://" + name


def blob(answer, member="CiphertextBlob"):
    return base64.b64decode(answer[member])


def names_of_keys():
    key = make(description="one", tags=["TagKey=team,TagValue=a", "TagKey=x,TagValue=é"],
               run=as_program)
    id = key["KeyId"]
    assert aws("describe-key", key_id=key["Arn"])["KeyMetadata"]["Description"] == "one"
    aws("update-key-description", key_id=id, description="two words")
    assert aws("describe-key", key_id=id)["KeyMetadata"]["Description"] == "two words"
    aws("tag-resource", key_id=id, tags='[{"TagKey":"y","TagValue":""}]')
    aws("untag-resource", key_id=id, tag_keys=["team", "x"])
    assert aws("list-resource-tags", key_id=id)["Tags"] == [{"TagKey": "y", "TagValue": ""}]
    aws("create-alias", alias_name="alias/one", target_key_id=id)
    other = make()["KeyId"]
    aws("update-alias", alias_name="alias/one", target_key_id=other)
    assert aws("list-aliases", key_id=other)["Aliases"][0]["AliasName"] == "alias/one"
    # Pages of one, which the command puts together.
    listed = aws("list-keys", page_size=1)["Keys"]
    assert {id, other} <= {each["KeyId"] for each in listed}
    assert aws("list-keys", query="length(Keys)", output="text") == str(len(listed))
    aws("delete-alias", alias_name="alias/one")
    aws("describe-key", key_id="alias/one", refused="(NotFoundException)")
    return id, other


def ciphertexts(id, other):
    """Files in and out, as the documentation of the command has it."""
    context = "purpose=test,name=é"
    secret = put("secret", bytes(range(256)) * 16)
    sealed = put("sealed", base64.b64decode(aws(
        "encrypt", run=as_program, key_id=id, plaintext=secret, encryption_context=context,
        query="CiphertextBlob", output="text")))
    opened = aws("decrypt", run=as_program, ciphertext_blob=sealed, encryption_context=context)
    assert blob(opened, "Plaintext") == bytes(range(256)) * 16 and opened["KeyId"].endswith(id)
    aws("decrypt", ciphertext_blob=sealed, encryption_context="purpose=test",
        refused="(InvalidCiphertextException)")
    moved = put("moved", blob(aws(
        "re-encrypt", run=as_program, ciphertext_blob=sealed, source_encryption_context=context,
        destination_key_id=other, destination_encryption_context='{"a":"b"}')))
    back = aws("decrypt", ciphertext_blob=moved, key_id=other, encryption_context="a=b")
    assert blob(back, "Plaintext") == bytes(range(256)) * 16
    data = aws("generate-data-key", key_id=id, key_spec="AES_256")
    opened = aws("decrypt", ciphertext_blob=put("data", blob(data)))
    assert opened["Plaintext"] == data["Plaintext"]
    assert "Plaintext" not in aws(
        "generate-data-key-without-plaintext", key_id=id, number_of_bytes=100)
    pair = aws("generate-data-key-pair", key_id=id, key_pair_spec="ECC_NIST_P384")
    opened = aws("decrypt", ciphertext_blob=put("pair", blob(pair, "PrivateKeyCiphertextBlob")))
    assert opened["Plaintext"] == pair["PrivateKeyPlaintext"]
    bare = aws("generate-data-key-pair-without-plaintext", key_id=id, key_pair_spec="ECC_NIST_P256")
    assert bare["PublicKey"] and "PrivateKeyPlaintext" not in bare
    random = aws("generate-random", number_of_bytes=7, query="Plaintext", output="text")
    assert len(base64.b64decode(random)) == 7
    aws("encrypt", key_id=id, plaintext=secret, dry_run=True, refused="(DryRunOperationException)")


def pairs():
    message = put("message", b"message")
    rsa = make(key_spec="RSA_2048", key_usage="SIGN_VERIFY")["KeyId"]
    signature = put("signature", blob(aws(
        "sign", run=as_program, key_id=rsa, message=message, message_type="RAW",
        signing_algorithm="RSASSA_PKCS1_V1_5_SHA_256"), "Signature"))
    assert aws("verify", run=as_program, key_id=rsa, message=message, signature=signature,
               signing_algorithm="RSASSA_PKCS1_V1_5_SHA_256")["SignatureValid"] is True
    aws("verify", key_id=rsa, message=put("other", b"other"), signature=signature,
        signing_algorithm="RSASSA_PKCS1_V1_5_SHA_256", refused="(KMSInvalidSignatureException)")
    put("public", blob(aws("get-public-key", key_id=rsa), "PublicKey"))
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", "public", "-keyform", "DER", "-signature",
         "signature", "message"], capture_output=True, text=True)
    assert done.stdout.strip() == "Verified OK", done
    mac = make(key_spec="HMAC_512", key_usage="GENERATE_VERIFY_MAC")["KeyId"]
    code = put("mac", blob(aws(
        "generate-mac", key_id=mac, message=message, mac_algorithm="HMAC_SHA_512"), "Mac"))
    assert aws("verify-mac", key_id=mac, message=message, mac=code,
               mac_algorithm="HMAC_SHA_512")["MacValid"] is True
    ours, theirs = (
        make(key_spec="ECC_NIST_P521", key_usage="KEY_AGREEMENT")["KeyId"] for _ in range(2))
    secrets = {
        aws("derive-shared-secret", key_id=one, key_agreement_algorithm="ECDH",
            public_key=put("peer", blob(aws("get-public-key", key_id=two), "PublicKey")))
        ["SharedSecret"] for one, two in ((ours, theirs), (theirs, ours))}
    assert len(secrets) == 1


def rotations(id):
    aws("enable-key-rotation", key_id=id, rotation_period_in_days=100)
    assert aws("get-key-rotation-status", key_id=id)["RotationPeriodInDays"] == 100
    aws("disable-key-rotation", key_id=id)
    assert aws("get-key-rotation-status", key_id=id)["KeyRotationEnabled"] is False
    aws("rotate-key-on-demand", key_id=id)
    assert aws("list-key-rotations", key_id=id)["Rotations"][0]["RotationType"] == "ON_DEMAND"
    # The first material opens what it sealed.
    opened = aws("decrypt", ciphertext_blob="fileb://sealed",
                 encryption_context="purpose=test,name=é")
    assert blob(opened, "Plaintext") == bytes(range(256)) * 16
    assert aws("get-key-last-usage", key_id=id)["KeyLastUsage"]["Operation"] == "Decrypt"


def permissions(id):
    root = aws("get-key-policy", key_id=id, query="Policy", output="text")
    with open("policy", "w") as file:
        file.write(root)
    aws("put-key-policy", key_id=id, policy="file://policy")
    assert aws("list-key-policies", key_id=id)["PolicyNames"] == ["default"]
    principal = json.loads(root)["Statement"][0]["Principal"]["AWS"]
    grant = aws(
        "create-grant", key_id=id, grantee_principal=principal, retiring_principal=principal,
        operations=["Decrypt", "Encrypt"], name="g",
        constraints="EncryptionContextSubset={purpose=test}")
    listed = aws("list-grants", key_id=id)["Grants"]
    assert [each["GrantId"] for each in listed] == [grant["GrantId"]]
    assert listed[0]["Constraints"] == {"EncryptionContextSubset": {"purpose": "test"}}
    assert len(aws("list-retirable-grants", retiring_principal=principal)["Grants"]) == 1
    aws("retire-grant", grant_token=grant["GrantToken"])
    again = aws("create-grant", key_id=id, grantee_principal=principal, operations="Encrypt")
    aws("revoke-grant", key_id=id, grant_id=again["GrantId"])
    assert aws("list-grants", key_id=id)["Grants"] == []


def states(id):
    aws("disable-key", key_id=id)
    aws("encrypt", key_id=id, plaintext="fileb://message", refused="(DisabledException)")
    aws("enable-key", key_id=id)
    assert aws("schedule-key-deletion", key_id=id, pending_window_in_days=7)["DeletionDate"]
    aws("enable-key", key_id=id, refused="(KMSInvalidStateException)")
    aws("cancel-key-deletion", key_id=id)
    assert aws("describe-key", key_id=id)["KeyMetadata"]["KeyState"] == "Disabled"


def imports():
    key = make(origin="EXTERNAL")["KeyId"]
    parameters = aws("get-parameters-for-import", run=as_program, key_id=key,
                     wrapping_algorithm="RSAES_OAEP_SHA_256", wrapping_key_spec="RSA_2048")
    put("public", blob(parameters, "PublicKey"))
    put("material", os.urandom(32))
    subprocess.run(
        ["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", "public", "-keyform", "DER", "-in",
         "material", "-out", "wrapped", "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt",
         "rsa_oaep_md:sha256"], check=True)
    material = {
        "run": as_program, "key_id": key, "encrypted_key_material": "fileb://wrapped",
        "import_token": put("token", blob(parameters, "ImportToken")),
        "expiration_model": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    aws("import-key-material", **material)
    aws("delete-imported-key-material", key_id=key)
    assert aws("describe-key", key_id=key)["KeyMetadata"]["KeyState"] == "PendingImport"
    aws("import-key-material", **material)
    assert aws("describe-key", key_id=key)["KeyMetadata"]["KeyState"] == "Enabled"


def regions():
    key = make(multi_region=True)["KeyId"]
    there = {"region": "eu-west-1"}
    replica = aws("replicate-key", key_id=key, replica_region="eu-west-1")["ReplicaKeyMetadata"]
    assert ":eu-west-1:" in replica["Arn"]
    sealed = aws("encrypt", key_id=key, plaintext="fileb://message")
    assert blob(aws("decrypt", ciphertext_blob=put("m", blob(sealed)), **there),
                "Plaintext") == b"message"
    aws("update-primary-region", key_id=key, primary_region="eu-west-1")
    configuration = aws("describe-key", key_id=key, **there)["KeyMetadata"]
    assert configuration["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"
    assert [each["KeyId"] for each in aws("list-keys", **there)["Keys"]] == [key]


def key_stores():
    new = {"custom_key_store_name": "store", "trust_anchor_certificate": "c"}
    if not CLUSTER:
        aws("create-custom-key-store", cloud_hsm_cluster_id="cluster-abcdefghijk",
            key_store_password="password", refused="(CloudHsmClusterNotFoundException)", **new)
        missing = {"custom_key_store_id": "cks-00000000000000000",
                   "refused": "(CustomKeyStoreNotFoundException)"}
        for command in ("connect", "disconnect", "update", "delete"):
            aws(command + "-custom-key-store", **missing)
        assert aws("describe-custom-key-stores")["CustomKeyStores"] == []
        return
    new.update(cloud_hsm_cluster_id=CLUSTER, key_store_password=PIN)
    store = aws("create-custom-key-store", **new)["CustomKeyStoreId"]
    aws("delete-custom-key-store", custom_key_store_id=store)
    store = aws("create-custom-key-store", **new)["CustomKeyStoreId"]
    aws("connect-custom-key-store", custom_key_store_id=store)
    told = aws("describe-custom-key-stores", custom_key_store_name="store")["CustomKeyStores"]
    assert [each["ConnectionState"] for each in told] == ["CONNECTED"]
    key = make(origin="AWS_CLOUDHSM", custom_key_store_id=store)
    assert key["CloudHsmClusterId"] == CLUSTER
    sealed = put("in-token", blob(aws(
        "encrypt", key_id=key["KeyId"], plaintext="fileb://message")))
    assert blob(aws("decrypt", ciphertext_blob=sealed), "Plaintext") == b"message"
    aws("disconnect-custom-key-store", custom_key_store_id=store)
    aws("delete-custom-key-store", custom_key_store_id=store,
        refused="(CustomKeyStoreHasCMKsException)")
    aws("decrypt", ciphertext_blob=sealed, refused="(KMSInvalidStateException)")
    aws("update-custom-key-store", custom_key_store_id=store, new_custom_key_store_name="renamed")
    told = aws("describe-custom-key-stores", custom_key_store_id=store)["CustomKeyStores"]
    assert [each["CustomKeyStoreName"] for each in told] == ["renamed"]


with tempfile.TemporaryDirectory() as place:
    os.chdir(place)
    id, other = names_of_keys()
    ciphertexts(id, other)
    pairs()
    rotations(id)
    permissions(id)
    states(id)
    imports()
    regions()
    key_stores()
    os.chdir("/")
there_are = create_clidriver().create_help_command().command_table["kms"]
there_are = set(there_are.create_help_command().command_table)
print("\n".join(sorted(there_are - called)) or "every subcommand answered")
