//! The limits of the cgroup that the process is in, of version 1 or 2, and of those around it.

/// Of memory, in bytes. `None` where there is none, or none can be read.
#[cfg(target_os = "linux")]
pub(crate) fn memory_limit() -> Option<u64> {
    linux::limit(&linux::MEMORY)
}

/// Of the CPU, in thousandths of a core. `None` where there is none, or none can be read.
#[cfg(target_os = "linux")]
pub(crate) fn cpu_limit() -> Option<u64> {
    linux::limit(&linux::CPU)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn memory_limit() -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn cpu_limit() -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use procfs::{
        ProcessCGroup,
        process::{MountInfo, Process},
    };

    /// How a limit is read in the folder of a cgroup.
    pub(super) struct Controller {
        name: &'static str,
        v1: fn(&Path) -> Option<u64>,
        v2: fn(&Path) -> Option<u64>,
    }

    pub(super) const MEMORY: Controller = Controller {
        name: "memory",
        // It has the largest number of whole pages where there is no limit.
        v1: |folder| number(&folder.join("memory.limit_in_bytes")).filter(|limit| *limit < 1 << 62),
        v2: |folder| number(&folder.join("memory.max")),
    };

    pub(super) const CPU: Controller = Controller {
        name: "cpu",
        v1: |folder| cores(number(&folder.join("cpu.cfs_quota_us"))?, number(&folder.join("cpu.cfs_period_us"))?),
        v2: |folder| {
            let both = fs::read_to_string(folder.join("cpu.max")).ok()?;
            let (quota, period) = both.trim().split_once(' ')?;
            cores(quota.parse().ok()?, period.parse().ok()?)
        },
    };

    pub(super) fn limit(controller: &Controller) -> Option<u64> {
        let process = Process::myself().ok()?;
        let (groups, mounts) = (process.cgroups().ok()?, process.mountinfo().ok()?);
        least(controller, &groups.0, &mounts.0)
    }

    /// A cgroup is limited by all that it is in, too: the least counts.
    fn least(controller: &Controller, groups: &[ProcessCGroup], mounts: &[MountInfo]) -> Option<u64> {
        let name = controller.name.to_owned();
        let limits = groups.iter().filter_map(|group| {
            let is_v2 = group.hierarchy == 0;
            if !is_v2 && !group.controllers.contains(&name) {
                return None;
            }
            let mount = mounts.iter().find(|mount| match mount.fs_type.as_str() {
                "cgroup2" => is_v2,
                "cgroup" => !is_v2 && mount.super_options.contains_key(&name),
                _ => false,
            })?;
            let read = if is_v2 { controller.v2 } else { controller.v1 };
            let folder = folder(mount, &group.pathname);
            let up_to_mount = folder.ancestors().take_while(|folder| folder.starts_with(&mount.mount_point));
            up_to_mount.filter_map(read).min()
        });
        limits.min()
    }

    /// A container may see its own cgroup alone, mounted as if it were the root, and yet be told its path from the host's.
    fn folder(mount: &MountInfo, path: &str) -> PathBuf {
        let within = Path::new(path).strip_prefix(&mount.root).unwrap_or(Path::new(""));
        mount.mount_point.join(within.strip_prefix("/").unwrap_or(within))
    }

    /// What is no number, as "max" and -1, is no limit.
    fn number(file: &Path) -> Option<u64> {
        fs::read_to_string(file).ok()?.trim().parse().ok()
    }

    fn cores(quota: u64, period: u64) -> Option<u64> {
        quota.saturating_mul(1000).checked_div(period)
    }

    #[cfg(test)]
    mod tests {
        use procfs::{FromBufRead as _, ProcessCGroups, process::MountInfos};

        use super::*;

        /// The limit on memory that is found in a folder with these files, when `/proc/self` says this of the cgroup and its mount there.
        fn found(files: &[(&str, &str)], group: &str, mount: &str) -> Option<u64> {
            found_of(&MEMORY, files, group, mount)
        }

        fn found_of(controller: &Controller, files: &[(&str, &str)], group: &str, mount: &str) -> Option<u64> {
            let folder = tempfile::tempdir().expect("a folder");
            for (path, limit) in files {
                let file = folder.path().join(path);
                fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                fs::write(file, format!("{limit}\n")).expect("a file");
            }
            let mount = mount.replace("AT", &folder.path().display().to_string());
            let groups = ProcessCGroups::from_buf_read(group.as_bytes()).expect("cgroups");
            let mounts = MountInfos::from_buf_read(mount.as_bytes()).expect("mounts");
            least(controller, &groups.0, &mounts.0)
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
        fn a_limit_on_the_cpu_is_in_thousandths_of_a_core() {
            let files = [("pod/cpu.max", "50000 100000"), ("pod/c1/cpu.max", "max 100000")];
            assert_eq!(found_of(&CPU, &files, "0::/pod/c1\n", V2), Some(500));
            let v1 = V1.replace("memory", "cpu,cpuacct");
            let files = [("cpu.cfs_quota_us", "10000"), ("cpu.cfs_period_us", "100000")];
            assert_eq!(found_of(&CPU, &files, "4:cpu,cpuacct:/\n", &v1), Some(100));
            let files = [("cpu.cfs_quota_us", "-1"), ("cpu.cfs_period_us", "100000")];
            assert_eq!(found_of(&CPU, &files, "4:cpu,cpuacct:/\n", &v1), None);
            assert_eq!(found_of(&CPU, &[("cpu.max", "max 100000")], "0::/\n", V2), None);
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
