// The part of libcrypto (OpenSSL 3) that the module Cryptography wraps. Nothing else imports it.
#pragma once
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <openssl/rand.h>

// What Swift cannot see as macros.
enum {
    evp_pkey_public_key = EVP_PKEY_PUBLIC_KEY,
    evp_pkey_keypair = EVP_PKEY_KEYPAIR,
};
