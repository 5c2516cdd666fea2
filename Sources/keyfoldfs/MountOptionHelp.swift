/// What `keyfoldfs --help` says of `-o`; docs/cli.md has the whole list.
enum MountOptionHelp {
    static let text = """
          keystore=DIR            else KEYFOLD_KEYSTORE, else what the vault names,
                                  else $XDG_DATA_HOME/keyfold/keystore
          passphrase_file=FILE    the passphrase is the first line; else
                                  KEYFOLD_PASSPHRASE_FILE, else asked for
          recovery_key_file=FILE  the same with the recovery key
          key_file=FILE           unlock with a key file; else KEYFOLD_KEY_FILE
          ro, rw                  read-only, or not (the default)
          shared                  other hosts mount the vault, too
          overwrite=inplace       overwrite without a journal: not safe against crashes
          log_paths               the usage log tells the paths of files
          log_file=FILE           messages go there, not to the system log
          allow_other             other users may use the mount
          nonempty                mount over a directory that is not empty
          nosuid, noexec, noatime, … as in mount(8)
        """
}
