//! The limit on memory of the cgroup that the process is in, of version 1 or 2, or of one around it.

/// In bytes. `None` where there is none, or none can be read.
#[cfg(target_os = "linux")]
pub(crate) fn limit() -> Option<u64> {
    use procfs::process::Process;

    let process = Process::myself().ok()?;
    let (groups, mounts) = (process.cgroups().ok()?, process.mountinfo().ok()?);
    linux::limit(&groups.0, &mounts.0)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn limit() -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use procfs::{ProcessCGroup, process::MountInfo};

    /// Version 1 writes the largest number of whole pages where there is no limit.
    const NO_LIMIT: u64 = 1 << 62;

    /// A cgroup is limited by all that it is in, too: the least counts.
    pub(super) fn limit(groups: &[ProcessCGroup], mounts: &[MountInfo]) -> Option<u64> {
        let memory = "memory".to_owned();
        let limits = groups.iter().filter_map(|group| {
            let is_v2 = group.hierarchy == 0;
            if !is_v2 && !group.controllers.contains(&memory) {
                return None;
            }
            let mount = mounts.iter().find(|mount| match mount.fs_type.as_str() {
                "cgroup2" => is_v2,
                "cgroup" => !is_v2 && mount.super_options.contains_key(&memory),
                _ => false,
            })?;
            let file = if is_v2 { "memory.max" } else { "memory.limit_in_bytes" };
            let folder = folder(mount, &group.pathname);
            let up_to_mount = folder.ancestors().take_while(|folder| folder.starts_with(&mount.mount_point));
            up_to_mount.filter_map(|folder| read(&folder.join(file))).min()
        });
        limits.min()
    }

    /// A container may see its own cgroup alone, mounted as if it were the root, and yet be told its path from the host's.
    fn folder(mount: &MountInfo, path: &str) -> PathBuf {
        let within = Path::new(path).strip_prefix(&mount.root).unwrap_or(Path::new(""));
        mount.mount_point.join(within.strip_prefix("/").unwrap_or(within))
    }

    /// "max", which is no number, is no limit.
    fn read(file: &Path) -> Option<u64> {
        let limit = fs::read_to_string(file).ok()?.trim().parse().ok()?;
        (limit < NO_LIMIT).then_some(limit)
    }

    #[cfg(test)]
    mod tests {
        use procfs::{FromBufRead as _, ProcessCGroups, process::MountInfos};

        use super::*;

        /// What is found in a folder with these files, when `/proc/self` says this of the cgroup and its mount there.
        fn found(files: &[(&str, &str)], group: &str, mount: &str) -> Option<u64> {
            let folder = tempfile::tempdir().expect("a folder");
            for (path, limit) in files {
                let file = folder.path().join(path);
                fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                fs::write(file, format!("{limit}\n")).expect("a file");
            }
            let mount = mount.replace("AT", &folder.path().display().to_string());
            let groups = ProcessCGroups::from_buf_read(group.as_bytes()).expect("cgroups");
            let mounts = MountInfos::from_buf_read(mount.as_bytes()).expect("mounts");
            limit(&groups.0, &mounts.0)
        }

        const V1: &str = "14 31 0:32 / AT rw,relatime - cgroup cgroup rw,memory\n";
        const V2: &str = "42 31 0:26 / AT rw,relatime - cgroup2 cgroup2 rw\n";

        #[test]
        fn the_least_limit_of_all_cgroups_around_counts() {
            let files = [("pod/memory.max", "134217728"), ("pod/c1/memory.max", "max")];
            assert_eq!(found(&files, "0::/pod/c1\n", V2), Some(128 << 20));
            let files = [("pod/memory.max", "134217728"), ("pod/c1/memory.max", "67108864")];
            assert_eq!(found(&files, "0::/pod/c1\n", V2), Some(64 << 20));
            let files = [
                ("memory.limit_in_bytes", "9223372036854771712"),
                ("pod/memory.limit_in_bytes", "67108864"),
                ("pod/c1/memory.limit_in_bytes", "9223372036854771712"),
            ];
            assert_eq!(found(&files, "9:cpu:/\n4:memory:/pod/c1\n0::/\n", V1), Some(64 << 20));
        }

        #[test]
        fn a_container_that_sees_its_own_cgroup_as_the_root_finds_it() {
            let files = [("memory.max", "1000")];
            assert_eq!(found(&files, "0::/\n", V2), Some(1000), "in a namespace of its own");
            assert_eq!(found(&files, "0::/../elsewhere\n", V2), Some(1000));
            let files = [("memory.limit_in_bytes", "2000")];
            let mount = V1.replace(" / AT", " /docker/1234 AT");
            assert_eq!(found(&files, "4:memory:/docker/1234\n", &mount), Some(2000), "in the host's");
        }

        #[test]
        fn no_limit_is_none() {
            assert_eq!(found(&[("memory.max", "max")], "0::/\n", V2), None);
            assert_eq!(found(&[("memory.limit_in_bytes", "9223372036854771712")], "4:memory:/\n", V1), None);
            assert_eq!(found(&[], "0::/\n", V2), None);
            assert_eq!(found(&[("memory.max", "1000")], "4:cpu:/\n", V2), None);
        }
    }
}
