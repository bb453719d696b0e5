//! How far a fetch is.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_fetch_tells_how_far_it_is_while_it_lasts() {
    let mut config = drydock_testing::storage_config();
    let manifest =
        version(&drydock_testing::storage(&config), &[("a", noise(1, 9 << 20)), ("b", noise(2, 1 << 20))]).await;
    let server = config.endpoint.as_deref().and_then(|url| url.strip_prefix("http://")).unwrap().to_owned();
    let proxy = drydock_testing::Proxy::start(server).await;
    config.endpoint = Some(format!("http://{}", proxy.address()));
    let (directory, storage) = (tempfile::tempdir().unwrap(), drydock_testing::storage(&config));
    let cache = open(directory.path(), UNLIMITED, &storage);
    let fetched = || cache.fetched(TENANT, manifest.tree_id());
    assert_eq!(fetched(), None);
    proxy.delay(Duration::from_millis(5));
    let watched = async {
        let part = |told: &super::super::Fetched| told.done > 0 && told.done < told.total;
        let told =
            drydock_testing::until("part of it is here", Duration::from_secs(30), || async { fetched().filter(part) });
        assert_eq!(told.await.total, 10 << 20);
        proxy.heal();
    };
    let (loaded, ()) = tokio::join!(cache.load(TENANT, &manifest), watched);
    loaded.unwrap();
    assert_eq!(fetched(), None, "it is over");
}
