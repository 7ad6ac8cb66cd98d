//! Reads files that people name: never more than a bound, and never for ever. A path may lead to a device, or to a FIFO that
//! nobody writes to.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

/// How long what is no regular file may take: the other end of a pipe may be a command that has just begun.
const PATIENCE: Duration = Duration::from_secs(10);

/// At most `most` bytes of a file.
///
/// # Errors
/// When it cannot be read, or is no regular file and does not end in time.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_within(path, most, PATIENCE)
}

fn read_within(path: &Path, most: u64, patience: Duration) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.is_file() {
        return read_now(path, most);
    }
    let (tell, told) = sync_channel(1);
    let its_path = path.to_owned();
    // Left behind where it waits for ever. Nobody listens any more then.
    thread::Builder::new().name("read".to_owned()).spawn(move || drop(tell.send(read_now(&its_path, most))))?;
    told.recv_timeout(patience).unwrap_or_else(|error| {
        let why = match error {
            RecvTimeoutError::Timeout => format!("it is no regular file, and did not end within {patience:?}"),
            RecvTimeoutError::Disconnected => "the thread that read it has gone".to_owned(),
        };
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    })
}

fn read_now(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_fifo_is_read_when_somebody_writes_and_given_up_when_nobody_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let [silent, spoken] = ["silent", "spoken"].map(|name| folder.path().join(name));
        for path in [&silent, &spoken] {
            assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
        }
        let error = read_within(&silent, 9, Duration::from_millis(50)).expect_err("nobody writes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let writer = spoken.clone();
        let writing = thread::spawn(move || fs::write(writer, "text"));
        assert_eq!(read(&spoken, 9).expect("read"), b"text");
        writing.join().expect("no panic").expect("written");
    }

    #[test]
    fn a_file_is_read_up_to_the_bound() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "text").expect("written");
        assert_eq!(read(file.path(), 3).expect("read"), b"tex");
        assert_eq!(read(Path::new("/dev/zero"), 3).expect("read"), [0; 3]);
        assert!(read(Path::new("/nowhere"), 3).is_err());
    }
}
