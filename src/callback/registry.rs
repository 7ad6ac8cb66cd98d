//! Every callback that is served, a line each.

use super::served::Served;
use super::set_friend_remark::BeforeSetFriendRemark;

pub static REGISTRY: [Served; 1] = [Served::of::<BeforeSetFriendRemark>()];

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn no_two_callbacks_share_a_name() {
        let mut names: Vec<_> =
            REGISTRY.iter().flat_map(|served| served.aliases.iter().chain([&served.command])).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn every_method_is_in_the_contract() {
        let contract = prost_types::FileDescriptorSet::decode(crate::proto::DESCRIPTORS).expect("descriptors");
        let methods: Vec<String> = contract
            .file
            .iter()
            .flat_map(|file| file.service.iter().map(move |service| (file.package(), service)))
            .flat_map(|(package, service)| {
                service.method.iter().map(move |method| format!("/{package}.{}/{}", service.name(), method.name()))
            })
            .collect();
        for served in &REGISTRY {
            assert!(methods.iter().any(|method| method == served.method), "{} is none of {methods:?}", served.method);
        }
        assert_eq!(methods.len(), REGISTRY.len(), "an rpc in proto/ that no callback asks");
    }
}
