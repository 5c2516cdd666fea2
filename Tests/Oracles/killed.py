"""Kills keyfold-serve in the middle of every operation that changes something, and looks at what
the next one shows: the change, or nothing of it; the change, where it was answered.

The keyfold command, an administrator's access key and its secret, and a seed are arguments; a
token's id and its PIN may follow. The keystore comes with the environment. Prints the operations
that were killed; which were done and which were not goes to standard error.
"""

import collections
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

from served import connect, openssl

KEYFOLD, SEED = sys.argv[1], int(sys.argv[4])
CLUSTER, PIN = sys.argv[5:7] if len(sys.argv) > 5 else (None, None)
HOME, AWAY = "us-east-1", "eu-west-1"
ROUNDS, SECONDS = 5, 25  # rounds at most; none begins after so many seconds, but one is made
# Opens the keystore at once, where a passphrase takes half a second.
KEY_FILE = os.path.join(os.environ["TMPDIR"], "key-file")
rng = random.Random(SEED)
began = time.monotonic()


class Server:
    def __init__(self):
        self.process = subprocess.Popen(
            [KEYFOLD, "serve", "--listen", "127.0.0.1:0", "--key-file", KEY_FILE],
            stderr=subprocess.PIPE, text=True)
        for told in self.process.stderr:
            if found := re.search(r"serving at 127\.0\.0\.1:(\d+)", told):
                break
        else:
            raise AssertionError("the server does not start")
        url = f"http://127.0.0.1:{found[1]}"
        self.home, self.away = (connect(region, url) for region in (HOME, AWAY))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.process.stderr.close()


def add_key_file():
    with open(KEY_FILE, "wb") as file:
        file.write(os.urandom(32))
    os.chmod(KEY_FILE, 0o600)
    command("slot", "add", "key-file", KEY_FILE)


def command(*words):
    done = subprocess.run([KEYFOLD, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (words, done)
    return done.stdout


def look(server, key):
    """All that can be seen of a key, flat: a name for each detail."""
    seen = {}
    for region, kms in ((HOME, server.home), (AWAY, server.away)):
        seen[region + " keys"] = sorted(each["KeyId"] for each in kms.list_keys(Limit=1000)["Keys"])
        seen[region + " aliases"] = {
            each["AliasName"]: each.get("TargetKeyId") for each in kms.list_aliases()["Aliases"]}
        if key not in seen[region + " keys"]:
            continue
        for name, value in kms.describe_key(KeyId=key)["KeyMetadata"].items():
            seen[f"{region} {name}"] = value
        seen[region + " tags"] = {
            each["TagKey"]: each["TagValue"] for each in kms.list_resource_tags(KeyId=key)["Tags"]}
        seen[region + " policy"] = kms.get_key_policy(KeyId=key)["Policy"]
        seen[region + " grants"] = [
            (each["GrantId"], each["Operations"]) for each in kms.list_grants(KeyId=key)["Grants"]]
        seen[region + " rotations"] = kms.list_key_rotations(KeyId=key)["Rotations"]
        if seen[f"{region} Origin"] == "AWS_KMS":
            status = kms.get_key_rotation_status(KeyId=key)
            seen[region + " rotation"] = (
                status["KeyRotationEnabled"], status.get("RotationPeriodInDays"))
    if CLUSTER:
        for store in server.home.describe_custom_key_stores()["CustomKeyStores"]:
            for name, value in store.items():
                seen[f"store {name}"] = value
    return seen


Change = collections.namedtuple("Change", "operation prepare arguments changes")
CHANGES = []


def change(operation, changes, prepare=None, **arguments):
    """`changes`: what of the look is another afterwards, with the new value or a rule for it.

    Values that are functions get the key, and what `prepare` returned.
    """
    CHANGES.append(Change(operation, prepare, arguments, changes))


def at_home(name):
    return f"{HOME} {name}"


ALIAS = "alias/of-a-test"
TAGS = [{"TagKey": "one", "TagValue": "1"}, {"TagKey": "two", "TagValue": "2"}]
POLICY = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}]}


def root(server, key):
    policy = json.loads(server.home.get_key_policy(KeyId=key)["Policy"])
    return policy["Statement"][0]["Principal"]["AWS"]


def grant(server, key):
    """The key's ARN and the grant's id."""
    everyone = root(server, key)
    made = server.home.create_grant(KeyId=key, GranteePrincipal=everyone,
                                    RetiringPrincipal=everyone, Operations=["Decrypt"])
    return server.home.describe_key(KeyId=key)["KeyMetadata"]["Arn"], made["GrantId"]


def material(server, key):
    """The arguments of an import, as `openssl` wraps them."""
    given = server.home.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    name = os.path.join(os.environ["TMPDIR"], "wrapping")
    with open(name, "wb") as file:
        file.write(given["PublicKey"])
    wrapped = openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", name, "-keyform", "DER",
                      "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256",
                      given=rng.randbytes(32))
    return {"EncryptedKeyMaterial": wrapped, "ImportToken": given["ImportToken"],
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def new_key(after, before):
    return set(before) < set(after) and len(after) == len(before) + 1


def there(after, before):
    return after is not None


def describe_changes():
    change("CreateKey", {at_home("keys"): new_key}, Description="whole", Tags=TAGS)
    change("CreateAlias", {at_home("aliases"): lambda after, before: ALIAS in after},
           AliasName=ALIAS, TargetKeyId=lambda key, _: key)
    change("UpdateAlias", {at_home("aliases"): lambda after, before: after[ALIAS] != before[ALIAS]},
           lambda server, key: (
               server.home.create_alias(AliasName=ALIAS, TargetKeyId=key),
               server.home.create_key()["KeyMetadata"]["KeyId"])[1],
           AliasName=ALIAS, TargetKeyId=lambda _, other: other)
    change("DeleteAlias", {at_home("aliases"): lambda after, before: ALIAS not in after},
           lambda server, key: server.home.create_alias(AliasName=ALIAS, TargetKeyId=key),
           AliasName=ALIAS)
    change("DisableKey", {at_home("Enabled"): False, at_home("KeyState"): "Disabled"})
    change("EnableKey", {at_home("Enabled"): True, at_home("KeyState"): "Enabled"},
           lambda server, key: server.home.disable_key(KeyId=key))
    change("ScheduleKeyDeletion",
           {at_home("Enabled"): False, at_home("KeyState"): "PendingDeletion",
            at_home("DeletionDate"): there}, PendingWindowInDays=7)
    change("CancelKeyDeletion",
           {at_home("KeyState"): "Disabled", at_home("DeletionDate"): None},
           lambda server, key: server.home.schedule_key_deletion(KeyId=key))
    change("EnableKeyRotation", {at_home("rotation"): (True, 90)}, RotationPeriodInDays=90)
    change("DisableKeyRotation", {at_home("rotation"): (False, None)},
           lambda server, key: server.home.enable_key_rotation(KeyId=key))
    change("RotateKeyOnDemand",
           {at_home("rotations"): lambda after, before: len(after) == 1,
            at_home("CurrentKeyMaterialId"): there})
    change("TagResource", {at_home("tags"): {"one": "1", "two": "2"}}, Tags=TAGS)
    change("UntagResource", {at_home("tags"): {}},
           lambda server, key: server.home.tag_resource(KeyId=key, Tags=TAGS),
           TagKeys=["one", "two"])
    change("UpdateKeyDescription", {at_home("Description"): "é" * 4000}, Description="é" * 4000)
    change("PutKeyPolicy",
           {at_home("policy"): lambda after, before: json.loads(after) == POLICY},
           Policy=json.dumps(POLICY))
    change("CreateGrant", {at_home("grants"): lambda after, before: after[0][1] == ["Encrypt"]},
           root, GranteePrincipal=lambda _, everyone: everyone, Operations=["Encrypt"])
    for operation in ("RetireGrant", "RevokeGrant"):
        change(operation, {at_home("grants"): []}, grant, KeyId=lambda _, made: made[0],
               GrantId=lambda _, made: made[1])
    change("ImportKeyMaterial",
           {at_home("Enabled"): True, at_home("KeyState"): "Enabled",
            at_home("ExpirationModel"): there, at_home("CurrentKeyMaterialId"): there},
           material, **{name: lambda _, given, name=name: given[name] for name in (
               "EncryptedKeyMaterial", "ImportToken", "ExpirationModel")})
    change("DeleteImportedKeyMaterial",
           {at_home("Enabled"): False, at_home("KeyState"): "PendingImport",
            at_home("ExpirationModel"): None},
           lambda server, key: server.home.import_key_material(
               KeyId=key, **material(server, key)))
    change("ReplicateKey", None, ReplicaRegion=AWAY, Tags=TAGS, Description="whole")
    change("UpdatePrimaryRegion", None,
           lambda server, key: server.home.replicate_key(KeyId=key, ReplicaRegion=AWAY),
           PrimaryRegion=AWAY)
    if CLUSTER:
        describe_key_stores()


class TokenLost(Exception):
    pass


def describe_key_stores():
    def store(server, _=None):
        stores = server.home.describe_custom_key_stores()["CustomKeyStores"]
        id = stores[0]["CustomKeyStoreId"] if stores else server.home.create_custom_key_store(
            **ARGUMENTS)["CustomKeyStoreId"]
        if stores and stores[0]["ConnectionState"] != "DISCONNECTED":
            server.home.disconnect_custom_key_store(CustomKeyStoreId=id)
        return id

    def connected(server, _):
        id = store(server)
        for _ in range(10):
            server.home.connect_custom_key_store(CustomKeyStoreId=id)
            stores = server.home.describe_custom_key_stores(CustomKeyStoreId=id)
            if stores["CustomKeyStores"][0]["ConnectionState"] == "CONNECTED":
                return id
            # One that failed does not connect before it was disconnected.
            server.home.disconnect_custom_key_store(CustomKeyStoreId=id)
        # SoftHSM writes its token in place, so a kill may cost it that; it is no loss of ours.
        shown = subprocess.run(["softhsm2-util", "--show-slots"], capture_output=True, text=True)
        if not shown.returncode and "served" not in shown.stdout:
            raise TokenLost
        told = command("log", "--event", "ConnectCustomKeyStore", "--json").splitlines()
        raise AssertionError((stores, json.loads(told[-1])["additionalEventData"]))

    def none(server, _):
        server.home.delete_custom_key_store(CustomKeyStoreId=store(server))

    ARGUMENTS = {"CustomKeyStoreName": "store", "CloudHsmClusterId": CLUSTER,
                 "TrustAnchorCertificate": "c", "KeyStorePassword": PIN}
    named = {"CustomKeyStoreId": lambda _, id: id}
    change("CreateCustomKeyStore", None, none, **ARGUMENTS)
    change("DeleteCustomKeyStore", None, store, **named)
    change("ConnectCustomKeyStore", {"store ConnectionState": "CONNECTED"}, store, **named)
    change("DisconnectCustomKeyStore", {"store ConnectionState": "DISCONNECTED"}, connected,
           **named)
    change("UpdateCustomKeyStore",
           {"store CustomKeyStoreName": lambda after, before: after != before}, store,
           NewCustomKeyStoreName=lambda _, id: f"store {rng.randrange(1 << 60)}", **named)


def differing(before, after):
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def kinds(seen):
    """What the related keys are, at home and away; both must tell the same of both."""
    told = [dict(seen[f"{region} MultiRegionConfiguration"]) for region in (HOME, AWAY)]
    found = [each.pop("MultiRegionKeyType") for each in told]
    assert told[0] == told[1], told
    return found


def is_done(made, server, key, before, after):
    """Whether the change shows, wholly; fails where a part of it does."""
    names = differing(before, after)
    if not names:
        return False
    told = (SEED, made.operation, {name: (before.get(name), after.get(name)) for name in names})
    if made.changes is not None:
        assert names == set(made.changes), told
        for name, wanted in made.changes.items():
            value = after.get(name)
            assert wanted(value, before.get(name)) if callable(wanted) else value == wanted, told
    kms = server.home
    if made.operation == "CreateKey":
        (key,) = set(after[at_home("keys")]) - set(before[at_home("keys")])
        shown = look(server, key)
        assert shown[at_home("Description")] == "whole", told
        assert shown[at_home("tags")] == {"one": "1", "two": "2"}, told
    if made.operation == "ReplicateKey":
        assert kinds(after) == ["PRIMARY", "REPLICA"], told
        assert after[AWAY + " KeyState"] == "Enabled", told
        assert after[AWAY + " tags"] == {"one": "1", "two": "2"}, told
        assert after[AWAY + " Description"] == "whole", told
    if made.operation == "UpdatePrimaryRegion":
        assert kinds(after) == ["REPLICA", "PRIMARY"], told
        assert names == {f"{region} MultiRegionConfiguration" for region in (HOME, AWAY)}, told
    if made.operation == "CreateCustomKeyStore":
        assert after["store CustomKeyStoreName"] == "store", told
    if made.operation in ("CreateKey", "ReplicateKey", "RotateKeyOnDemand", "ImportKeyMaterial"):
        sealed = kms.encrypt(KeyId=key, Plaintext=b"p")["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"p"
    return True


def method(kms, operation):
    names = {name: python for python, name in kms.meta.method_to_api_mapping.items()}
    return getattr(kms, names[operation])


def clean_up(server):
    for each in server.home.list_aliases()["Aliases"]:
        if each["AliasName"] == ALIAS:
            server.home.delete_alias(AliasName=ALIAS)


def attempt(server, made, seconds):
    """Asks for a change and kills the server so many seconds after the request is sent.

    Returns the next server, whether the change was answered, whether it is done, and how long the
    answer took. Without seconds the server stays.
    """
    clean_up(server)
    kms = server.home
    multi = made.operation in ("ReplicateKey", "UpdatePrimaryRegion")
    origin = "EXTERNAL" if "Material" in made.operation else "AWS_KMS"
    key = kms.create_key(MultiRegion=multi, Origin=origin)["KeyMetadata"]["KeyId"]
    given = made.prepare(server, key) if made.prepare else None
    takes = kms.meta.service_model.operation_model(made.operation).input_shape.members
    arguments = {"KeyId": key} if "KeyId" in takes else {}
    arguments.update({name: value(key, given) if callable(value) else value
                      for name, value in made.arguments.items()})
    before = look(server, key)
    sent, answers, refusals = threading.Event(), [], []
    kms.meta.events.register("before-send.kms", lambda **_: sent.set())

    def ask():
        try:
            answers.append(method(kms, made.operation)(**arguments))
        except ClientError as error:
            refusals.append(error)
        except (BotoCoreError, OSError):
            pass  # the server is gone

    asking = threading.Thread(target=ask)
    asking.start()
    assert sent.wait(10)
    start = time.monotonic()
    if seconds is None:
        asking.join(30)
    else:
        while time.monotonic() - start < seconds:
            pass
        server.kill()
        asking.join(30)
        server = Server()
    took = time.monotonic() - start
    assert not refusals, (SEED, made.operation, refusals)
    done = is_done(made, server, key, before, look(server, key))
    answered = [each["ResponseMetadata"]["RequestId"] for each in answers]
    assert done or not answered, (SEED, made.operation, "was answered and is not done")
    return server, answered, done, took


def main():
    describe_changes()
    add_key_file()
    server, request_ids, took = Server(), [], {}
    try:
        for made in CHANGES:
            server, answered, done, took[made.operation] = attempt(server, made, None)
            assert answered and done, made.operation
            request_ids += answered
        counts = collections.Counter()
        for number in range(ROUNDS):
            if number and time.monotonic() - began > SECONDS:
                break
            for made in rng.sample(CHANGES, len(CHANGES)):
                seconds = rng.random() * took[made.operation]
                try:
                    server, answered, done, _ = attempt(server, made, seconds)
                except TokenLost:
                    counts[made.operation, "without a token"] += 1
                    continue
                request_ids += answered
                # The next kill of this operation comes earlier after an answer, later otherwise.
                took[made.operation] *= 0.6 if answered else 1.2
                counts[made.operation, "answered" if answered else "done" if done else "not"] += 1
            command("check", "--keystore", "--quiet", "--key-file", KEY_FILE)
            command("log", "verify", "--key-file", KEY_FILE)
        for (operation, outcome), count in sorted(counts.items()):
            print(operation, outcome, count, file=sys.stderr)
        totals = collections.Counter()
        for (_, outcome), count in counts.items():
            totals[outcome] += count
        print(dict(totals), f"{time.monotonic() - began:.0f} s", file=sys.stderr)
        # A kill that comes after every answer tries nothing.
        assert totals["not"] and totals["not"] + totals["done"] > len(CHANGES) // 3, totals
    finally:
        server.kill()
    events = [json.loads(line).get("requestID") for line in command("log", "--json").splitlines()]
    assert set(request_ids) <= set(events), "an answer without its event"
    print(*sorted(made.operation for made in CHANGES))


main()
