//! Where the lines end up.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// An output for whole lines.
#[derive(Debug)]
pub(super) struct Sink {
    target: Target,
    /// The last write failed, perhaps in the middle of a line.
    torn: bool,
}

#[derive(Debug)]
enum Target {
    Stdout,
    File(LogFile),
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    follow_every: Duration,
    followed: Instant,
}

impl Sink {
    pub(super) fn stdout() -> Self {
        Self {
            target: Target::Stdout,
            torn: false,
        }
    }

    /// A file; at most once in `follow_every` it is looked up whether the path still leads to it.
    pub(super) fn file(path: PathBuf, follow_every: Duration) -> io::Result<Self> {
        let file = LogFile {
            file: open(&path)?,
            path,
            follow_every,
            followed: Instant::now(),
        };
        Ok(Self {
            target: Target::File(file),
            torn: false,
        })
    }

    /// Opens the file again if it was moved away, or in any case if `now`. If that fails, the open one stays in use.
    pub(super) fn follow(&mut self, now: bool) -> io::Result<()> {
        let Target::File(log) = &mut self.target else {
            return Ok(());
        };
        if now || log.followed.elapsed() >= log.follow_every {
            log.followed = Instant::now();
            if now || log.was_moved()? {
                log.file = open(&log.path)?;
                self.torn = false;
            }
        }
        Ok(())
    }

    /// Writes whole lines. If it fails, some of them may be there, the last one in part.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let torn = std::mem::replace(&mut self.torn, true);
        let write = |output: &mut dyn Write| {
            if torn {
                output.write_all(b"\n")?;
            }
            output.write_all(lines)?;
            output.flush()
        };
        match &mut self.target {
            Target::Stdout => write(&mut io::stdout().lock()),
            Target::File(log) => write(&mut log.file),
        }?;
        self.torn = false;
        Ok(())
    }
}

impl LogFile {
    fn was_moved(&self) -> io::Result<bool> {
        let open = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(named) => Ok((named.dev(), named.ino()) != (open.dev(), open.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(folder: &tempfile::TempDir) -> (Sink, PathBuf) {
        let path = folder.path().join("access.log");
        (Sink::file(path.clone(), Duration::ZERO).unwrap(), path)
    }

    #[test]
    fn a_file_is_appended_to_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let (mut sink, path) = self::sink(&folder);
        sink.write(b"1\n").unwrap();
        let mut again = Sink::file(path.clone(), Duration::ZERO).unwrap();
        again.write(b"2\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"1\n2\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o007, 0);
    }

    #[test]
    fn a_file_that_was_moved_or_removed_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (mut sink, path) = self::sink(&folder);
        let rotated = folder.path().join("access.log.1");
        sink.write(b"1\n").unwrap();
        fs::rename(&path, &rotated).unwrap();
        sink.follow(false).unwrap();
        sink.write(b"2\n").unwrap();
        fs::remove_file(&path).unwrap();
        sink.follow(false).unwrap();
        sink.write(b"3\n").unwrap();
        assert_eq!(fs::read(&rotated).unwrap(), b"1\n");
        assert_eq!(fs::read(&path).unwrap(), b"3\n");
    }

    #[test]
    fn the_open_file_stays_in_use_while_a_new_one_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let (mut sink, path) = self::sink(&folder);
        let rotated = folder.path().join("access.log.1");
        fs::rename(&path, &rotated).unwrap();
        fs::create_dir(&path).unwrap();
        sink.follow(false).unwrap_err();
        sink.write(b"1\n").unwrap();
        assert_eq!(fs::read(&rotated).unwrap(), b"1\n");
    }

    #[test]
    fn a_line_after_a_failed_write_starts_on_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (mut sink, path) = self::sink(&folder);
        sink.write(b"{\"half").unwrap();
        sink.torn = true;
        sink.write(b"{}\n").unwrap();
        sink.write(b"{}\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{\"half\n{}\n{}\n");
    }
}
