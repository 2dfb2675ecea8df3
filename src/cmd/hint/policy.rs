//! The ways out of what policy.json refuses.

use crate::policy::Refusal;
use crate::signature::{Flaw, Unsigned};

pub(super) fn hint(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Rejected(_) => "change it there, or name another registry",
        Refusal::Beyond(_) => "pull it with podman or skopeo, which can, or change the policy",
        Refusal::Key { .. } => "put the public key there, or change the policy",
        Refusal::Unsigned { source: Unsigned::NotLooked, .. } => {
            "set use-sigstore-attachments: true for it in /etc/containers/registries.d/*.yaml, or for yourself in \
             ~/.config/containers/registries.d"
        }
        Refusal::Unsigned { source: Unsigned::Flawed(flaws), .. } if matches!(flaws.as_slice(), [Flaw::Name(_)]) => {
            "have it signed for its name, or let that name count with signedIdentity"
        }
        Refusal::Unsigned { source: Unsigned::Flawed(flaws), .. }
            if flaws.iter().all(|flaw| *flaw == Flaw::Nameless) =>
        {
            "have it signed by podman or skopeo, which say the name; bundles count for `artishim pull --verify-key`"
        }
        Refusal::Unsigned { .. } => "have it signed, or change the policy",
    }
}
