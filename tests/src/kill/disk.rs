//! A disk whose power can be cut: ext4 over a loop device over a file.

use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::Error;

/// How large it is; the file has holes.
const BYTES: u64 = 512 << 20;

/// EXT4_IOC_SHUTDOWN without writing the journal (EXT4_GOING_FLAGS_NOLOGFLUSH). From a program
/// that may make any system call: this one has no other use for unchecked ones.
const SHUTDOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// What this machine lacks for it.
pub(super) fn lacks() -> Option<&'static str> {
    let path = env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !cfg!(target_os = "linux") {
        Some("Linux")
    } else if !geteuid().is_root() {
        Some("rights of root")
    } else if !Path::new("/dev/loop-control").exists() {
        Some("loop devices")
    } else if !has("mkfs.ext4") {
        Some("mkfs.ext4")
    } else if !has("python3") {
        Some("python3")
    } else {
        None
    }
}

/// The disk, mounted. Dropping it unmounts and removes it.
#[derive(Debug)]
pub(super) struct Disk {
    dir: TempDir,
}

impl Disk {
    /// A new one, empty.
    pub(super) fn made() -> Result<Self, Error> {
        let dir = tempfile::Builder::new()
            .prefix("ottla-power-")
            .tempdir()
            .map_err(Error::io("create a temporary directory"))?;
        let disk = Self { dir };
        let (image, mount) = (disk.image(), disk.path());
        let file = File::create(&image).map_err(Error::path("create", &image))?;
        file.set_len(BYTES).map_err(Error::path("grow", &image))?;
        std::fs::create_dir(&mount).map_err(Error::path("create", &mount))?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        disk.mount_again()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Cuts the power: from here on every write and sync fails.
    pub(super) fn cut(&self) -> Result<(), Error> {
        let mut shutdown = Command::new("python3");
        run(shutdown.arg("-c").arg(SHUTDOWN).arg(self.path()))
    }

    /// Mounts what the device has. Nobody may use the disk.
    pub(super) fn mount_again(&self) -> Result<(), Error> {
        if is_mounted(&self.path())? {
            run(Command::new("umount").arg(self.path()))?;
        }
        let mut mount = Command::new("mount");
        run(mount.args(["-o", "loop"]).args([self.image(), self.path()]))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A broker that is being killed may hold it for a moment longer.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn is_mounted(path: &Path) -> Result<bool, Error> {
    let mounts = std::fs::read_to_string("/proc/self/mounts");
    let mounts = mounts.map_err(Error::io("read what is mounted"))?;
    let path = path.to_string_lossy();
    Ok(mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some(&*path)))
}

fn run(command: &mut Command) -> Result<(), Error> {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .map_err(Error::io(format!("start {shown}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(format!("{shown}: {}: {said}", output.status)))
}
