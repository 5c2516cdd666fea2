import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// Programs that people use, on a mount.
    @Suite(.sharedMount(.standard))
    struct RealProgramTests {
        private static var fixture: VaultFixture {
            get throws { try SharedMounts.fixture(.standard) }
        }

        /// A tree with links, modes, times, attributes and odd names, made in a plain directory.
        private static func makeTree(_ path: String) throws {
            let script = """
                mkdir -p a/b/c 'with space' empty; umask 022
                i=0; while [ $i -lt 60 ]; do
                  head -c $((i * 977)) /dev/urandom > a/file$i; i=$((i+1)); done
                ln a/file3 a/b/hard; ln -s ../file5 a/b/soft; ln -s /nowhere dangling
                mkfifo fifo; chmod 4755 a/file7; chmod 1777 empty; chmod 000 a/file8
                cp /bin/sh 'with space/program'; : > zero
                truncate -s 3M sparse; printf end >> sparse
                touch -d '2001-02-03 04:05:06.123456789 UTC' a/file9 a/b
                setfattr -n user.test -v value a/file10 2>/dev/null || true
                # rsync leaves times alone that differ by less than a second.
                find . -depth -exec touch -h -d '2002-03-04 05:06:07.987654321 UTC' {} +
                """
            try Disk.makeDirectory(path)
            try Command.shell(script).in(path).run()
        }

        private static func expectEqual(
            _ first: String, _ second: String, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let differences = try FileTree.differences(first, second)
            #expect(differences == [], sourceLocation: sourceLocation)
        }

        @Test(needs("rsync"))
        func `rsync copies a tree with everything, and finds nothing to do again`() throws {
            let fixture = try Self.fixture
            let place = try SharedMounts.directory(.standard)
            let source = fixture.base.path + "/rsync-source"
            try Self.makeTree(source)
            try Command("rsync", "-aHAXS", source + "/", place + "/copy/").run()
            try fixture.dropCaches()
            try Self.expectEqual(source, place + "/copy")
            let again = try Command(
                "rsync", "-aHAXSi", "--checksum", source + "/", place + "/copy/"
            ).run()
            #expect(again.output == "")
            try Command("rsync", "-aHAXS", place + "/copy/", fixture.base.path + "/back/").run()
            try Self.expectEqual(source, fixture.base.path + "/back")
        }

        @Test(needs("tar"))
        func `tar packs and unpacks a tree`() throws {
            let fixture = try Self.fixture
            let place = try SharedMounts.directory(.standard)
            let source = fixture.base.path + "/tar-source"
            try Self.makeTree(source)
            let tar = ["tar", "--xattrs", "--numeric-owner", "-p"]
            let archive = fixture.base.path + "/archive.tar"
            try Command(tar + ["-C", source, "-cf", archive, "."]).run()
            try Disk.makeDirectory(place + "/copy")
            try Command(tar + ["-C", place + "/copy", "-xf", archive]).run()
            try fixture.dropCaches()
            try Self.expectEqual(source, place + "/copy")
            try Command(tar + ["-C", place + "/copy", "--compare", "-f", archive]).run()
        }

        @Test(needs("cp"))
        func `cp -a keeps everything`() throws {
            let fixture = try Self.fixture
            let place = try SharedMounts.directory(.standard)
            let source = fixture.base.path + "/cp-source"
            try Self.makeTree(source)
            try Command("cp", "-a", source, place + "/copy").run()
            try Command("cp", "-a", place + "/copy", place + "/second").run()
            try fixture.dropCaches()
            try Self.expectEqual(source, place + "/second")
            try Command("rm", "-rf", place + "/copy").run()
            try Self.expectEqual(source, place + "/second")
        }

        @Test(needs("git"))
        func `git works, and fsck finds nothing`() throws {
            let fixture = try Self.fixture
            let place = try SharedMounts.directory(.standard)
            let script = """
                export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
                git init -q -b main r && cd r
                git config user.name test; git config user.email test@example.com
                i=0; while [ $i -lt 30 ]; do
                  mkdir -p d$((i % 5)); seq 1 $((i * 100)) > d$((i % 5))/f$i
                  git add -A; git commit -qm "commit $i"; i=$((i+1)); done
                git checkout -q -b branch HEAD~10; seq 5 > other; git add other
                git commit -qm other; git merge -q -m merged main
                git gc -q; git fsck --strict --full
                cd ..; git clone -q --no-hardlinks r clone; cd clone
                test -z "$(git status --porcelain)"; git fsck --full
                """
            let result = try Command.shell("set -e; " + script).in(place).run()
            #expect(!result.error.contains("error"))
            try fixture.dropCaches()
            let status = try Command.shell(
                "cd clone && git fsck --full && git status --porcelain"
            ).in(place).run()
            #expect(status.output == "")
        }

        @Test(needs("sqlite3"), arguments: ["delete", "wal", "truncate"])
        func `an SQLite database keeps its transactions`(_ mode: String) throws {
            let fixture = try Self.fixture
            let place = try SharedMounts.directory(.standard)
            let statements = (0..<300).map {
                "begin; insert into t values(\($0), hex(randomblob(500))); "
                    + "update t set v = v || 'x' where i = \($0 / 2); commit;"
            }
            let script =
                "pragma journal_mode=\(mode); create table t(i integer primary key, v text);\n"
                + statements.joined(separator: "\n")
            let database = place + "/db"
            let made = try Command("sqlite3", "-bail", database).fed(Array(script.utf8)).run()
            #expect(made.lines.first == mode)
            try fixture.dropCaches()
            let check = try Command(
                "sqlite3", database, "pragma integrity_check; select count(*) from t;"
            ).run()
            #expect(check.lines == ["ok", "300"])
        }

        @Test(needs("sqlite3"), arguments: ["delete", "wal"])
        func `two SQLite processes exclude each other`(_ mode: String) throws {
            let place = try SharedMounts.directory(.standard)
            try Command(
                "sqlite3", place + "/db",
                "pragma journal_mode=\(mode); create table t(i integer); insert into t values(0);"
            ).run()
            let script = """
                for p in 1 2 3; do
                  ( i=0; while [ $i -lt 60 ]; do
                      echo 'pragma busy_timeout=60000; begin immediate;
                            update t set i = i + 1; commit;'; i=$((i+1)); done \
                    | sqlite3 -bail db > /dev/null ) &
                done; wait; sqlite3 db 'select i from t; pragma integrity_check;'
                """
            let result = try Command.shell(script).in(place).run()
            #expect(result.lines == ["180", "ok"], "\(result)")
        }

        @Test(needs("fio"), arguments: ["psync", "mmap", "libaio"])
        func `fio reads back every block that it wrote`(_ engine: String) throws {
            let place = try SharedMounts.directory(.standard)
            let result = try Command(
                "fio", "--name=verify", "--directory=\(place)", "--ioengine=\(engine)",
                "--rw=randwrite", "--bsrange=512-64k", "--size=16m",
                "--numjobs=2", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1",
                "--randseed=42", "--group_reporting", "--fallocate=none", "--end_fsync=1"
            ).in(place).limited(toSeconds: 120).result()
            if result.error.contains("engine") && result.error.contains("not loadable") {
                print("skipped: fio has no engine \(engine) here")
                return
            }
            #expect(result.status == 0, "\(result)")
            #expect(!result.output.contains("verify:") || !result.output.contains("bad"))
        }

        @Test(needs("fio"))
        func `fio verifies with O_DIRECT and fsync`() throws {
            let place = try SharedMounts.directory(.standard)
            try Command(
                "fio", "--name=direct", "--directory=\(place)", "--ioengine=psync",
                "--rw=randrw", "--bs=4k", "--size=8m", "--direct=1", "--fsync=8",
                "--verify=crc32c", "--verify_fatal=1", "--randseed=7", "--fallocate=none"
            ).in(place).limited(toSeconds: 120).run()
        }

        @Test(needs("cc"))
        func `a compiler and what it makes run`() throws {
            let place = try SharedMounts.directory(.standard)
            let source = "#include <stdio.h>\nint main(void){puts(\"built here\");return 0;}\n"
            try Disk.write(place + "/main.c", source)
            let result = try Command.shell("cc -O1 -o main main.c && ./main").in(place).run()
            #expect(result.output == "built here\n")
        }

        @Test(needs("dd", "sed", "sort", "install"))
        func `everyday tools do what they do elsewhere`() throws {
            let place = try SharedMounts.directory(.standard)
            let script = """
                seq 1 20000 | shuf > numbers; sort -n -o numbers numbers; tail -1 numbers
                sed -i 's/^20000$/last/' numbers; tail -1 numbers
                install -m 640 -D numbers deep/er/copy; stat -c %a deep/er/copy
                dd if=numbers of=block bs=1000 skip=3 count=2 status=none; wc -c < block
                mktemp -d tmp.XXXXXX > /dev/null; echo a > x; echo b >> x; cat x; mv x y; cat y
                find . -newer numbers -name y; du -s --apparent-size numbers > /dev/null
                zip=$(gzip -k numbers && gzip -t numbers.gz && echo ok); echo $zip
                """
            let result = try Command.shell("set -e; " + script).in(place).run()
            let expected = [
                "20000", "last", "640", "2000", "a", "b", "a", "b", "./y", "ok",
            ]
            #expect(result.lines == expected)
        }
    }
}
