// Steers the module that breaks the standard. The tests find these functions with dlsym(3), since
// the library is opened at run time.
#pragma once

/// What the module does wrong from now on; see HostilePKCS11.c. An unknown name ends the process.
void hostile_set(const char *behaviour);

/// How often a function was called since the library was opened ("C_Login"), or how many sessions
/// are open now ("sessions"), or were at most ("most sessions"), or how many calls wait ("waiting").
unsigned long hostile_count(const char *what);

/// Lets the calls go on that wait because of a behaviour ("generator waits"), and later ones.
void hostile_release(void);
