// The one algorithm that the module Cryptography takes from libsodium. Nothing else imports it.
#pragma once
#include <sodium/core.h>
#include <sodium/crypto_sign_ed25519.h>
