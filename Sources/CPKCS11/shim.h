// The types and constants of PKCS#11 2.40, as p11-kit declares them. Only the module KMSPKCS11
// imports it.
//
// The header alone is needed: token libraries are opened at run time, and libp11-kit, which
// pkg-config would link, is not used.
#pragma once
#include <p11-kit-1/p11-kit/pkcs11.h>
