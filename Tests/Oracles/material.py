"""Key material that the openssl command made and wrapped, imported and used on both sides.

The URL of keyfold-serve, an administrator's access key and its secret are arguments. Prints a line
for each kind of key and way to wrap it.
"""

import hmac
import os
import tempfile

from cryptography.hazmat.primitives import keywrap

from served import connect, get, openssl, put, refused

kms = connect()
MESSAGE = b"message"
OAEP = {"RSAES_OAEP_SHA_1": "sha1", "RSAES_OAEP_SHA_256": "sha256",
        "RSA_AES_KEY_WRAP_SHA_1": "sha1", "RSA_AES_KEY_WRAP_SHA_256": "sha256"}


def under_public_key(plain, algorithm):
    words = ["pkeyutl", "-encrypt", "-pubin", "-inkey", "wrapping", "-keyform", "DER", "-in",
             put("plain", plain)]
    if algorithm in OAEP:
        words += ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:" + OAEP[algorithm],
                  "-pkeyopt", "rsa_mgf1_md:" + OAEP[algorithm]]
    return openssl(*words)


def wrap(plain, algorithm):
    if "AES_KEY_WRAP" not in algorithm:
        return under_public_key(plain, algorithm)
    key = os.urandom(32)
    padded = openssl("enc", "-id-aes256-wrap-pad", "-iv", "A65959A6", "-K", key.hex(), "-in",
                     put("plain", plain))
    assert padded == keywrap.aes_key_wrap_with_padding(key, plain)
    return under_public_key(key, algorithm) + padded


def imported(material, spec, usage, algorithm, wrapping="RSA_2048"):
    key = kms.create_key(Origin="EXTERNAL", KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
    parameters = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=wrapping)
    put("wrapping", parameters["PublicKey"])
    arguments = {"KeyId": key, "ImportToken": parameters["ImportToken"],
                 "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    wrapped = wrap(material, algorithm)
    damaged = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    refused("InvalidCiphertextException", kms.import_key_material,
            EncryptedKeyMaterial=damaged, **arguments)
    kms.import_key_material(EncryptedKeyMaterial=wrapped, **arguments)
    print(spec, usage, algorithm)
    return key


def symmetric():
    # An AES key in between is for pairs alone.
    direct = [(each, "RSA_2048") for each in OAEP if "AES_KEY_WRAP" not in each]
    for algorithm, wrapping in direct + [("SM2PKE", "SM2")]:
        key = imported(os.urandom(32), "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", algorithm, wrapping)
        sealed = kms.encrypt(KeyId=key, Plaintext=MESSAGE)["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == MESSAGE


def codes():
    for bits, algorithm in (224, "RSAES_OAEP_SHA_1"), (256, "RSAES_OAEP_SHA_256"), \
            (384, "RSAES_OAEP_SHA_1"), (512, "RSAES_OAEP_SHA_256"):
        material = os.urandom(bits // 8)
        key = imported(material, f"HMAC_{bits}", "GENERATE_VERIFY_MAC", algorithm)
        code = kms.generate_mac(KeyId=key, Message=MESSAGE, MacAlgorithm=f"HMAC_SHA_{bits}")["Mac"]
        assert code == hmac.digest(material, MESSAGE, f"sha{bits}")
        told = openssl("mac", "-digest", f"SHA{bits}", "-macopt", "hexkey:" + material.hex(),
                       "-in", put("message", MESSAGE), "HMAC")
        assert bytes.fromhex(told.decode().strip()) == code


def new_pair(name, *options):
    """A private key as PKCS #8 in `name`, which is also returned, and its public key."""
    openssl("genpkey", *options, "-outform", "DER", "-out", "generated")
    openssl("pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-in", "generated", "-outform", "DER",
            "-out", name)
    public = openssl("pkey", "-inform", "DER", "-in", name, "-pubout", "-outform", "DER")
    return get(name), public


def their_signature(digest, *options):
    return openssl("dgst", "-" + digest, "-sign", "private", "-keyform", "DER", *options,
                   put("message", MESSAGE))


def signed(key, algorithm, signature):
    arguments = {"KeyId": key, "SigningAlgorithm": algorithm, "Signature": signature}
    assert kms.verify(Message=MESSAGE, **arguments)["SignatureValid"]
    refused("KMSInvalidSignatureException", kms.verify, Message=b"other", **arguments)


def rsa():
    for bits in (2048, 3072, 4096):
        private, public = new_pair("private", "-algorithm", "RSA", "-pkeyopt",
                                   f"rsa_keygen_bits:{bits}")
        key = imported(private, f"RSA_{bits}", "SIGN_VERIFY", "RSA_AES_KEY_WRAP_SHA_256")
        assert kms.get_public_key(KeyId=key)["PublicKey"] == public
        for size in (256, 384, 512):
            signed(key, f"RSASSA_PKCS1_V1_5_SHA_{size}", their_signature(f"sha{size}"))
            signed(key, f"RSASSA_PSS_SHA_{size}", their_signature(
                f"sha{size}", "-sigopt", "rsa_padding_mode:pss", "-sigopt",
                "rsa_pss_saltlen:digest"))
        key = imported(private, f"RSA_{bits}", "ENCRYPT_DECRYPT", "RSA_AES_KEY_WRAP_SHA_1")
        for algorithm in ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"):
            padding = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt",
                       "rsa_oaep_md:" + OAEP[algorithm]]
            ours = kms.encrypt(KeyId=key, Plaintext=MESSAGE,
                               EncryptionAlgorithm=algorithm)["CiphertextBlob"]
            assert openssl("pkeyutl", "-decrypt", "-inkey", "private", "-keyform", "DER", "-in",
                           put("sealed", ours), *padding) == MESSAGE
            theirs = openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", put("public", public),
                             "-keyform", "DER", "-in", put("plain", MESSAGE), *padding)
            assert kms.decrypt(KeyId=key, CiphertextBlob=theirs,
                               EncryptionAlgorithm=algorithm)["Plaintext"] == MESSAGE


def curves():
    for spec, curve, size, algorithm in [
            ("ECC_NIST_P256", "P-256", 256, "RSAES_OAEP_SHA_256"),
            ("ECC_NIST_P384", "P-384", 384, "RSAES_OAEP_SHA_1"),
            ("ECC_NIST_P521", "P-521", 512, "RSA_AES_KEY_WRAP_SHA_256"),
            ("ECC_SECG_P256K1", "secp256k1", 256, "RSA_AES_KEY_WRAP_SHA_1")]:
        options = ("-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-pkeyopt",
                   "ec_param_enc:named_curve")
        private, public = new_pair("private", *options)
        key = imported(private, spec, "SIGN_VERIFY", algorithm)
        assert kms.get_public_key(KeyId=key)["PublicKey"] == public
        signed(key, f"ECDSA_SHA_{size}", their_signature(f"sha{size}"))
        if "NIST" in spec:
            agreement(spec, private, options, algorithm)


def agreement(spec, private, options, algorithm):
    key = imported(private, spec, "KEY_AGREEMENT", algorithm)
    _, public = new_pair("theirs", *options)
    ours = kms.derive_shared_secret(
        KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=public)["SharedSecret"]
    put("ours", kms.get_public_key(KeyId=key)["PublicKey"])
    # What pkeyutl reads as a peer is PEM in every version.
    openssl("pkey", "-pubin", "-inform", "DER", "-in", "ours", "-out", "peer")
    assert ours == openssl("pkeyutl", "-derive", "-inkey", "theirs", "-keyform", "DER",
                           "-peerkey", "peer")


def edwards():
    private, public = new_pair("private", "-algorithm", "ED25519")
    key = imported(private, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "RSAES_OAEP_SHA_256",
                   "RSA_3072")
    assert kms.get_public_key(KeyId=key)["PublicKey"] == public
    theirs = openssl("pkeyutl", "-sign", "-inkey", "private", "-keyform", "DER", "-rawin", "-in",
                     put("message", MESSAGE))
    signed(key, "ED25519_SHA_512", theirs)
    assert kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ED25519_SHA_512")[
        "Signature"] == theirs


def sm2():
    private, public = new_pair("private", "-algorithm", "SM2")
    key = imported(private, "SM2", "SIGN_VERIFY", "SM2PKE", "SM2")
    assert kms.get_public_key(KeyId=key)["PublicKey"] == public
    signed(key, "SM2DSA", openssl(
        "pkeyutl", "-sign", "-inkey", "private", "-keyform", "DER", "-rawin", "-digest", "sm3",
        "-pkeyopt", "distid:1234567812345678", "-in", put("message", MESSAGE)))
    key = imported(private, "SM2", "ENCRYPT_DECRYPT", "SM2PKE", "SM2")
    ours = kms.encrypt(KeyId=key, Plaintext=MESSAGE, EncryptionAlgorithm="SM2PKE")["CiphertextBlob"]
    assert openssl("pkeyutl", "-decrypt", "-inkey", "private", "-keyform", "DER", "-in",
                   put("sealed", ours)) == MESSAGE
    theirs = openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", put("public", public), "-keyform",
                     "DER", "-in", put("plain", MESSAGE))
    assert kms.decrypt(KeyId=key, CiphertextBlob=theirs,
                       EncryptionAlgorithm="SM2PKE")["Plaintext"] == MESSAGE


with tempfile.TemporaryDirectory() as place:
    os.chdir(place)
    for part in (symmetric, codes, rsa, curves, edwards, sm2):
        part()
    os.chdir("/")
