//! A setting that is a list of networks: `10.0.0.0/8, 192.0.2.1`.

use std::{net::IpAddr, str::FromStr, sync::Arc};

use ipnet::IpNet;

use super::List;

/// Networks; an address alone is a network of one.
#[derive(Clone, Debug, Default)]
pub struct Networks(Arc<[IpNet]>);

impl Networks {
    /// Whether one of them has it.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = |item: &String| {
            let network = item.parse::<IpNet>().or_else(|_| item.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| format!("'{item}' is neither an address nor a network such as 10.0.0.0/8"))
        };
        text.parse::<List>()?.0.iter().map(network).collect::<Result<_, _>>().map(Self)
    }
}
