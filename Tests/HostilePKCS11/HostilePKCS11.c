// A PKCS#11 module for tests: one token with the label "hostile" and the PIN "1234", which does
// what it should, or one thing wrong. Its cipher protects nothing: it only has the form of AES-GCM.
// In another process the variable HOSTILE_PKCS11 says what is wrong.

#include <p11-kit-1/p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "HostilePKCS11.h"

enum { MAX_SESSIONS = 64, MAX_KEYS = 8, NONCE = 12, TAG = 16, SLOT = 7 };

typedef struct {
    int exists;
    CK_ULONG id_count, label_count;
    unsigned char id[256], label[256];
} Key;

typedef struct {
    int is_open, is_found;
    CK_ULONG found[MAX_KEYS], found_count;
    int active; // 0 nothing, 1 encrypting, 2 decrypting
    unsigned char key;
    CK_GCM_PARAMS gcm;
} Session;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static char behaviour[64] = "well";
static int is_initialized, is_logged_in, is_broken, is_released, has_failed, wrong_pins;
static unsigned long waiting, most_sessions, nonces;
static Session sessions[MAX_SESSIONS + 1];
static Key keys[MAX_KEYS + 1];

static struct {
    const char *name;
    unsigned long count;
} calls[] = {{"C_Initialize", 0},  {"C_Finalize", 0}, {"C_Login", 0},       {"C_Logout", 0},
             {"C_OpenSession", 0}, {"C_Encrypt", 0},  {"C_FindObjects", 0}, {"C_GenerateKey", 0}};

static const char *const known[] = {
    "well", "old version", "missing function", "no list", "does not start", "no slots",
    "countless slots", "more slots than room", "ever more slots", "odd text", "no AES-GCM",
    "session 0", "two sessions", "last PIN try", "PIN locked", "already logged in",
    "too many found", "found 0", "too long attribute", "empty flag", "extractable keys",
    "short keys", "silent keys", "key 0", "undead keys", "swapped keys", "too long ciphertext", "too short ciphertext",
    "endless ciphertext", "too long plaintext", "too short plaintext", "own nonces",
    "replaced nonces", "zero nonces", "vendor error", "general error", "one bad decryption", "token gone",
    "lost sessions", "lost until restart", "lost for ever", "lost while making", "generator waits", "write protected",
    "list waits", "start waits", "logout waits", "search waits",
};

static int is(const char *name) { return strcmp(behaviour, name) == 0; }

void hostile_set(const char *name) {
    pthread_mutex_lock(&lock);
    size_t index = 0, count = sizeof known / sizeof *known;
    while (index < count && strcmp(known[index], name) != 0) index++;
    if (index == count) abort();
    strncpy(behaviour, name, sizeof behaviour - 1);
    is_broken = is("lost until restart");
    if (is("lost sessions")) {
        memset(sessions, 0, sizeof sessions);
        is_logged_in = 0;
    }
    pthread_mutex_unlock(&lock);
}

static unsigned long open_sessions(void) {
    unsigned long count = 0;
    for (int index = 1; index <= MAX_SESSIONS; index++) count += sessions[index].is_open;
    return count;
}

static void __attribute__((constructor)) begin(void) {
    const char *name = getenv("HOSTILE_PKCS11");
    if (name != NULL) hostile_set(name);
}

unsigned long hostile_count(const char *what) {
    pthread_mutex_lock(&lock);
    unsigned long count = 0;
    if (strcmp(what, "sessions") == 0) count = open_sessions();
    if (strcmp(what, "most sessions") == 0) count = most_sessions;
    if (strcmp(what, "waiting") == 0) count = waiting;
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++)
        if (strcmp(what, calls[index].name) == 0) count = calls[index].count;
    pthread_mutex_unlock(&lock);
    return count;
}

void hostile_release(void) {
    pthread_mutex_lock(&lock);
    is_released = 1;
    pthread_cond_broadcast(&released);
    pthread_mutex_unlock(&lock);
}

static void counted(const char *name) {
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++)
        if (strcmp(name, calls[index].name) == 0) calls[index].count++;
}

// Under the lock: returns at once with another behaviour, and otherwise when it is released.
static void wait_with(const char *name) {
    if (!is(name)) return;
    waiting++;
    while (is(name) && !is_released) pthread_cond_wait(&released, &lock);
    waiting--;
}

// Each function body runs under the lock and leaves with `return`.
#define LOCKED(body)                  \
    pthread_mutex_lock(&lock);        \
    CK_RV answer = (body);            \
    pthread_mutex_unlock(&lock);      \
    return answer

static CK_RV start(void) {
    counted("C_Initialize");
    wait_with("start waits");
    if (is("does not start")) return CKR_DEVICE_ERROR;
    if (is_initialized) return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    is_initialized = 1;
    is_broken = 0;
    return CKR_OK;
}
static CK_RV initialize(void *arguments) { (void)arguments; LOCKED(start()); }

static CK_RV end(void) {
    counted("C_Finalize");
    if (!is_initialized) return CKR_CRYPTOKI_NOT_INITIALIZED;
    memset(sessions, 0, sizeof sessions);
    is_initialized = is_logged_in = 0;
    return CKR_OK;
}
static CK_RV finalize(void *reserved) { (void)reserved; LOCKED(end()); }

static CK_RV slot_list(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *count) {
    (void)present;
    if (!is_initialized) return CKR_CRYPTOKI_NOT_INITIALIZED;
    CK_ULONG room = *count;
    *count = is("no slots") ? 0 : is("countless slots") ? 1UL << 60 : 1;
    if (list == NULL || *count == 0) return CKR_OK;
    if (is("ever more slots")) return CKR_BUFFER_TOO_SMALL;
    list[0] = SLOT;
    if (is("more slots than room")) *count = room + 1;
    return CKR_OK;
}
static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *count) {
    LOCKED(slot_list(present, list, count));
}

static void pad(unsigned char *field, size_t size, const char *text) {
    memset(field, ' ', size);
    memcpy(field, text, strlen(text));
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info) {
    if (slot != SLOT) return CKR_SLOT_ID_INVALID;
    memset(info, 0, sizeof *info);
    pad(info->slotDescription, sizeof info->slotDescription, "A slot");
    pad(info->manufacturerID, sizeof info->manufacturerID, "Nobody");
    info->flags = CKF_TOKEN_PRESENT;
    return CKR_OK;
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info) {
    if (!is_initialized) return CKR_CRYPTOKI_NOT_INITIALIZED;
    if (slot != SLOT) return CKR_SLOT_ID_INVALID;
    if (is("token gone")) return CKR_GENERAL_ERROR;
    memset(info, 0, sizeof *info);
    pad(info->label, sizeof info->label, is("odd text") ? "\x1b[2J\xff hostile" : "hostile");
    pad(info->manufacturerID, sizeof info->manufacturerID, "Nobody");
    pad(info->model, sizeof info->model, "Hostile");
    pad(info->serialNumber, sizeof info->serialNumber, "0001");
    info->flags = CKF_RNG | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED;
    if (is("last PIN try") || wrong_pins == 2) info->flags |= CKF_USER_PIN_FINAL_TRY;
    if (is("PIN locked") || wrong_pins > 2) info->flags |= CKF_USER_PIN_LOCKED;
    info->ulMaxSessionCount = CK_UNAVAILABLE_INFORMATION;
    return CKR_OK;
}
static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info) { LOCKED(token_info(slot, info)); }

static CK_RV get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info) {
    if (slot != SLOT) return CKR_SLOT_ID_INVALID;
    if (is("no AES-GCM") || type != CKM_AES_GCM) return CKR_MECHANISM_INVALID;
    info->ulMinKeySize = 16;
    info->ulMaxKeySize = 32;
    info->flags = CKF_ENCRYPT | CKF_DECRYPT;
    return CKR_OK;
}

// --- Sessions

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE *session) {
    counted("C_OpenSession");
    if (!is_initialized) return CKR_CRYPTOKI_NOT_INITIALIZED;
    if (slot != SLOT) return CKR_SLOT_ID_INVALID;
    if (is("write protected") && flags & CKF_RW_SESSION) return CKR_TOKEN_WRITE_PROTECTED;
    if (is("two sessions") && open_sessions() >= 2) return CKR_SESSION_COUNT;
    CK_ULONG number = 1;
    while (number <= MAX_SESSIONS && sessions[number].is_open) number++;
    if (number > MAX_SESSIONS) return CKR_SESSION_COUNT;
    memset(&sessions[number], 0, sizeof sessions[number]);
    sessions[number].is_open = 1;
    if (open_sessions() > most_sessions) most_sessions = open_sessions();
    *session = is("session 0") ? 0 : number;
    return CKR_OK;
}
static CK_RV open_a_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                            CK_SESSION_HANDLE *session) {
    (void)application;
    (void)notify;
    LOCKED(open_session(slot, flags, session));
}

/// CKR_OK for a session that can be used.
static CK_RV session_state(CK_SESSION_HANDLE number) {
    if (!is_initialized) return CKR_CRYPTOKI_NOT_INITIALIZED;
    if (number < 1 || number > MAX_SESSIONS || !sessions[number].is_open)
        return CKR_SESSION_HANDLE_INVALID;
    return CKR_OK;
}

/// The same for what needs the token.
static CK_RV token_state(CK_SESSION_HANDLE number) {
    CK_RV state = session_state(number);
    if (state != CKR_OK) return state;
    if (is("lost for ever")) return CKR_DEVICE_REMOVED;
    if (is_broken) return CKR_SESSION_HANDLE_INVALID;
    if (is("token gone")) return CKR_GENERAL_ERROR;
    return is_logged_in ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
}

static CK_RV close_session(CK_SESSION_HANDLE number) {
    CK_RV state = session_state(number);
    if (state != CKR_OK) return state;
    sessions[number].is_open = 0;
    if (open_sessions() == 0) is_logged_in = 0;
    return CKR_OK;
}
static CK_RV close_a_session(CK_SESSION_HANDLE number) { LOCKED(close_session(number)); }

static CK_RV close_all(CK_SLOT_ID slot) {
    if (slot != SLOT) return CKR_SLOT_ID_INVALID;
    memset(sessions, 0, sizeof sessions);
    is_logged_in = 0;
    return CKR_OK;
}
static CK_RV close_all_sessions(CK_SLOT_ID slot) { LOCKED(close_all(slot)); }

static CK_RV session_info(CK_SESSION_HANDLE number, CK_SESSION_INFO *info) {
    CK_RV state = session_state(number);
    if (state != CKR_OK) return state;
    memset(info, 0, sizeof *info);
    info->slotID = SLOT;
    info->state = is_logged_in ? CKS_RO_USER_FUNCTIONS : CKS_RO_PUBLIC_SESSION;
    info->flags = CKF_SERIAL_SESSION;
    return CKR_OK;
}
static CK_RV get_session_info(CK_SESSION_HANDLE number, CK_SESSION_INFO *info) {
    LOCKED(session_info(number, info));
}

static CK_RV log_in(CK_SESSION_HANDLE number, const unsigned char *pin, CK_ULONG count) {
    counted("C_Login");
    CK_RV state = session_state(number);
    if (state != CKR_OK) return state;
    if (is_logged_in || is("already logged in")) return CKR_USER_ALREADY_LOGGED_IN;
    if (wrong_pins > 2) return CKR_PIN_LOCKED;
    // The longer one is for CreateCustomKeyStore, which takes no shorter ones.
    if ((count != 4 && count != 8) || memcmp(pin, "12345678", count) != 0) {
        wrong_pins++;
        return CKR_PIN_INCORRECT;
    }
    wrong_pins = 0;
    is_logged_in = 1;
    return CKR_OK;
}
static CK_RV login(CK_SESSION_HANDLE number, CK_USER_TYPE user, unsigned char *pin, CK_ULONG count) {
    (void)user;
    LOCKED(log_in(number, pin, count));
}

static CK_RV log_out(CK_SESSION_HANDLE number) {
    counted("C_Logout");
    wait_with("logout waits");
    CK_RV state = session_state(number);
    if (state != CKR_OK) return state;
    is_logged_in = 0;
    return CKR_OK;
}
static CK_RV logout(CK_SESSION_HANDLE number) { LOCKED(log_out(number)); }

// --- Keys

static const CK_ATTRIBUTE *find_attribute(const CK_ATTRIBUTE *list, CK_ULONG count,
                                          CK_ATTRIBUTE_TYPE type) {
    for (CK_ULONG index = 0; index < count; index++)
        if (list[index].type == type) return &list[index];
    return NULL;
}

static CK_RV find_init(CK_SESSION_HANDLE number, const CK_ATTRIBUTE *list, CK_ULONG count) {
    wait_with("search waits");
    CK_RV state = token_state(number);
    if (state != CKR_OK) return state;
    Session *session = &sessions[number];
    if (session->is_found) return CKR_OPERATION_ACTIVE;
    session->is_found = 1;
    session->found_count = 0;
    const CK_ATTRIBUTE *id = find_attribute(list, count, CKA_ID);
    for (CK_ULONG key = 1; key <= MAX_KEYS; key++)
        if (keys[key].exists && (id == NULL || (keys[key].id_count == id->ulValueLen &&
                                                memcmp(keys[key].id, id->pValue, id->ulValueLen) == 0)))
            session->found[session->found_count++] = key;
    return CKR_OK;
}
static CK_RV find_objects_init(CK_SESSION_HANDLE number, CK_ATTRIBUTE *list, CK_ULONG count) {
    LOCKED(find_init(number, list, count));
}

static CK_RV find(CK_SESSION_HANDLE number, CK_OBJECT_HANDLE *list, CK_ULONG room, CK_ULONG *count) {
    counted("C_FindObjects");
    CK_RV state = token_state(number);
    if (state != CKR_OK) return state;
    Session *session = &sessions[number];
    if (!session->is_found) return CKR_OPERATION_NOT_INITIALIZED;
    // One at a time, which the standard allows.
    *count = room > 0 && session->found_count > 0 ? 1 : 0;
    if (*count == 1) list[0] = session->found[--session->found_count];
    if (is("found 0")) {
        list[0] = 0;
        *count = 1;
    }
    if (is("too many found")) *count = room + 1;
    return CKR_OK;
}
static CK_RV find_objects(CK_SESSION_HANDLE number, CK_OBJECT_HANDLE *list, CK_ULONG room,
                          CK_ULONG *count) {
    LOCKED(find(number, list, room, count));
}

static CK_RV find_end(CK_SESSION_HANDLE number) {
    CK_RV state = session_state(number);
    if (state != CKR_OK) return state;
    sessions[number].is_found = 0;
    return CKR_OK;
}
static CK_RV find_objects_final(CK_SESSION_HANDLE number) { LOCKED(find_end(number)); }

static CK_RV give(CK_ATTRIBUTE *attribute, const void *value, CK_ULONG count) {
    if (attribute->ulValueLen < count) {
        attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_BUFFER_TOO_SMALL;
    }
    memcpy(attribute->pValue, value, count);
    attribute->ulValueLen = count;
    return CKR_OK;
}

static CK_RV attribute_value(CK_SESSION_HANDLE number, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *wanted) {
    CK_RV state = token_state(number);
    if (state != CKR_OK) return state;
    if (object < 1 || object > MAX_KEYS || !keys[object].exists) return CKR_OBJECT_HANDLE_INVALID;
    const Key *key = &keys[object];
    CK_ULONG size = is("short keys") ? 16 : 32;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    if (is("too long attribute")) {
        wanted->ulValueLen += 1;
        return CKR_OK;
    }
    if (is("silent keys") && wanted->type != CKA_ID) {
        wanted->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_ATTRIBUTE_TYPE_INVALID;
    }
    switch (wanted->type) {
    case CKA_ID: return give(wanted, key->id, key->id_count);
    case CKA_LABEL: return give(wanted, key->label, key->label_count);
    case CKA_VALUE_LEN: return give(wanted, &size, sizeof size);
    case CKA_SENSITIVE: return give(wanted, &yes, is("empty flag") ? 0 : 1);
    case CKA_EXTRACTABLE: return give(wanted, is("extractable keys") ? &yes : &no, 1);
    case CKA_ALWAYS_SENSITIVE:
    case CKA_NEVER_EXTRACTABLE:
    case CKA_LOCAL: return give(wanted, &yes, 1);
    default: wanted->ulValueLen = CK_UNAVAILABLE_INFORMATION; return CKR_ATTRIBUTE_TYPE_INVALID;
    }
}
static CK_RV get_attribute_value(CK_SESSION_HANDLE number, CK_OBJECT_HANDLE object,
                                 CK_ATTRIBUTE *list, CK_ULONG count) {
    if (count != 1) return CKR_ARGUMENTS_BAD;
    LOCKED(attribute_value(number, object, list));
}

static CK_RV generate(CK_SESSION_HANDLE number, const CK_ATTRIBUTE *list, CK_ULONG count,
                      CK_OBJECT_HANDLE *object) {
    counted("C_GenerateKey");
    CK_RV state = token_state(number);
    if (state != CKR_OK) return state;
    const CK_ATTRIBUTE *id = find_attribute(list, count, CKA_ID);
    const CK_ATTRIBUTE *label = find_attribute(list, count, CKA_LABEL);
    if (id == NULL || label == NULL) return CKR_TEMPLATE_INCOMPLETE;
    if (id->ulValueLen > 256 || label->ulValueLen > 256) return CKR_ATTRIBUTE_VALUE_INVALID;
    CK_ULONG key = 1;
    while (key <= MAX_KEYS && keys[key].exists) key++;
    if (key > MAX_KEYS) return CKR_DEVICE_MEMORY;
    keys[key].exists = 1;
    keys[key].id_count = id->ulValueLen;
    keys[key].label_count = label->ulValueLen;
    memcpy(keys[key].id, id->pValue, id->ulValueLen);
    memcpy(keys[key].label, label->pValue, label->ulValueLen);
    *object = is("key 0") ? 0 : key;
    return is("lost while making") ? CKR_DEVICE_REMOVED : CKR_OK;
}
static CK_RV generate_key(CK_SESSION_HANDLE number, CK_MECHANISM *mechanism, CK_ATTRIBUTE *list,
                          CK_ULONG count, CK_OBJECT_HANDLE *object) {
    if (mechanism->mechanism != CKM_AES_KEY_GEN) return CKR_MECHANISM_INVALID;
    LOCKED(generate(number, list, count, object));
}

static CK_RV destroy(CK_SESSION_HANDLE number, CK_OBJECT_HANDLE object) {
    CK_RV state = token_state(number);
    if (state != CKR_OK) return state;
    if (object < 1 || object > MAX_KEYS || !keys[object].exists) return CKR_OBJECT_HANDLE_INVALID;
    if (!is("undead keys")) keys[object].exists = 0;
    return CKR_OK;
}
static CK_RV destroy_object(CK_SESSION_HANDLE number, CK_OBJECT_HANDLE object) {
    LOCKED(destroy(number, object));
}

// --- Encryption: a stream from key, nonce and position, and a checksum

static CK_RV cipher_init(CK_SESSION_HANDLE number, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE object,
                         int direction) {
    CK_RV state = token_state(number);
    if (state != CKR_OK) return state;
    if (is("swapped keys") && object <= 2) object = 3 - object;
    if (object < 1 || object > MAX_KEYS || !keys[object].exists) return CKR_KEY_HANDLE_INVALID;
    Session *session = &sessions[number];
    if (session->active) return CKR_OPERATION_ACTIVE;
    if (mechanism->mechanism != CKM_AES_GCM) return CKR_MECHANISM_INVALID;
    if (mechanism->ulParameterLen != sizeof(CK_GCM_PARAMS)) return CKR_MECHANISM_PARAM_INVALID;
    session->gcm = *(CK_GCM_PARAMS *)mechanism->pParameter;
    if (session->gcm.ulIvLen != NONCE || session->gcm.ulTagBits != 8 * TAG)
        return CKR_MECHANISM_PARAM_INVALID;
    static const unsigned char zeros[NONCE];
    int is_zero = memcmp(session->gcm.pIv, zeros, NONCE) == 0;
    if (direction == 1 && !is_zero && (is("own nonces") || is("zero nonces")))
        return CKR_ARGUMENTS_BAD;
    session->key = (unsigned char)object;
    session->active = direction;
    return CKR_OK;
}
static CK_RV encrypt_init(CK_SESSION_HANDLE number, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
    LOCKED(cipher_init(number, mechanism, key, 1));
}
static CK_RV decrypt_init(CK_SESSION_HANDLE number, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
    LOCKED(cipher_init(number, mechanism, key, 2));
}

static unsigned char stream(const Session *session, CK_ULONG position) {
    return (unsigned char)(session->key * 31 + session->gcm.pIv[position % NONCE] + position * 7);
}

static void checksum(const Session *session, const unsigned char *text, CK_ULONG count,
                     unsigned char *tag) {
    unsigned long long sum = 1469598103934665603ULL + session->key;
    for (CK_ULONG i = 0; i < NONCE; i++) sum = (sum ^ session->gcm.pIv[i]) * 1099511628211ULL;
    for (CK_ULONG i = 0; i < session->gcm.ulAADLen; i++)
        sum = (sum ^ session->gcm.pAAD[i]) * 1099511628211ULL;
    for (CK_ULONG i = 0; i < count; i++) sum = (sum ^ text[i]) * 1099511628211ULL;
    memcpy(tag, &sum, 8);
    memcpy(tag + 8, &sum, 8);
}

static CK_RV encrypt_all(CK_SESSION_HANDLE number, const unsigned char *plain, CK_ULONG count,
                         unsigned char *sealed, CK_ULONG *room) {
    counted("C_Encrypt");
    CK_RV state = token_state(number);
    if (state != CKR_OK) return state;
    Session *session = &sessions[number];
    if (session->active != 1) return CKR_OPERATION_NOT_INITIALIZED;
    if (*room < count + TAG) return CKR_BUFFER_TOO_SMALL;
    session->active = 0;
    if (is("vendor error")) return CKR_VENDOR_DEFINED | 17;
    if (is("general error")) return CKR_GENERAL_ERROR;
    if (is("own nonces") || is("replaced nonces")) {
        memset(session->gcm.pIv, 0xA5, NONCE);
        nonces++;
        memcpy(session->gcm.pIv, &nonces, sizeof nonces);
    }
    for (CK_ULONG i = 0; i < count; i++) sealed[i] = plain[i] ^ stream(session, i);
    checksum(session, sealed, count, sealed + count);
    *room = count + TAG;
    if (is("too long ciphertext")) *room += 1;
    if (is("too short ciphertext")) *room -= 1;
    if (is("endless ciphertext")) *room = CK_UNAVAILABLE_INFORMATION;
    return CKR_OK;
}
static CK_RV encrypt(CK_SESSION_HANDLE number, unsigned char *plain, CK_ULONG count,
                     unsigned char *sealed, CK_ULONG *room) {
    LOCKED(encrypt_all(number, plain, count, sealed, room));
}

static CK_RV decrypt_all(CK_SESSION_HANDLE number, const unsigned char *sealed, CK_ULONG count,
                         unsigned char *plain, CK_ULONG *room) {
    CK_RV state = token_state(number);
    if (state != CKR_OK) return state;
    Session *session = &sessions[number];
    if (session->active != 2) return CKR_OPERATION_NOT_INITIALIZED;
    if (count < TAG) return CKR_ENCRYPTED_DATA_LEN_RANGE;
    if (is("one bad decryption") && !has_failed++) return CKR_GENERAL_ERROR;
    if (*room < count - TAG) return CKR_BUFFER_TOO_SMALL;
    session->active = 0;
    unsigned char tag[TAG];
    checksum(session, sealed, count - TAG, tag);
    if (memcmp(tag, sealed + count - TAG, TAG) != 0) return CKR_ENCRYPTED_DATA_INVALID;
    for (CK_ULONG i = 0; i < count - TAG; i++) plain[i] = sealed[i] ^ stream(session, i);
    *room = count - TAG;
    if (is("too long plaintext")) *room += 1000;
    if (is("too short plaintext")) *room -= 1;
    return CKR_OK;
}
static CK_RV decrypt(CK_SESSION_HANDLE number, unsigned char *sealed, CK_ULONG count,
                     unsigned char *plain, CK_ULONG *room) {
    LOCKED(decrypt_all(number, sealed, count, plain, room));
}

static CK_RV generate_random(CK_SESSION_HANDLE number, unsigned char *data, CK_ULONG count) {
    pthread_mutex_lock(&lock);
    wait_with("generator waits");
    CK_RV state = token_state(number);
    if (state == CKR_OK) memset(data, 0x5A, count);
    pthread_mutex_unlock(&lock);
    return state;
}

static CK_FUNCTION_LIST list;

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **functions) {
    pthread_mutex_lock(&lock);
    wait_with("list waits");
    memset(&list, 0, sizeof list);
    list.version.major = is("old version") ? 1 : 2;
    list.version.minor = 40;
    list.C_Initialize = initialize;
    list.C_Finalize = finalize;
    list.C_GetSlotList = get_slot_list;
    list.C_GetSlotInfo = get_slot_info;
    list.C_GetTokenInfo = get_token_info;
    list.C_GetMechanismInfo = get_mechanism_info;
    list.C_OpenSession = open_a_session;
    list.C_CloseSession = close_a_session;
    list.C_CloseAllSessions = close_all_sessions;
    list.C_GetSessionInfo = get_session_info;
    list.C_Login = login;
    list.C_Logout = logout;
    list.C_FindObjectsInit = find_objects_init;
    list.C_FindObjects = find_objects;
    list.C_FindObjectsFinal = find_objects_final;
    list.C_GetAttributeValue = get_attribute_value;
    list.C_GenerateKey = generate_key;
    list.C_DestroyObject = destroy_object;
    list.C_EncryptInit = encrypt_init;
    list.C_Encrypt = encrypt;
    list.C_DecryptInit = decrypt_init;
    list.C_Decrypt = decrypt;
    list.C_GenerateRandom = is("missing function") ? NULL : generate_random;
    *functions = is("no list") ? NULL : &list;
    pthread_mutex_unlock(&lock);
    return CKR_OK;
}
