//! Webhooks: made with a secret that is shown once, listed, changed, tested, their log, removed.

use drydock_webhook::SigningSecret;

use crate::harness::Api;

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_from_end_to_end() {
    let api = Api::start().await;
    let made =
        api.drydock("webhook create ci https://1.1.1.1/hook?t=x --event job.error --event batch.finished").ok().await;
    let secret = made.line();
    assert!(secret.parse::<SigningSecret>().is_ok(), "it can be given to a receiver as it is");
    let made = made.says("its secret is shown this once");
    let id = made.err.split("made webhook ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    let listed = api.drydock("webhook ls").ok().await.text();
    assert!(
        listed.lines().nth(1).unwrap().starts_with(&format!("{id}  ci    active  job.error,batch.finished  ")),
        "{listed}"
    );
    let shown = api.drydock(&format!("webhook status {id}")).ok().await.text();
    for line in [
        "name     ci\n",
        "url      https://1.1.1.1/hook?t=x\n",
        "events   job.error, batch.finished\n",
        "status   active\n",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let json = api.drydock(&format!("--json webhook status {id}")).ok().await;
    assert_eq!(json.line(), api.get(&format!("/webhooks/{id}")).await);
    let newer =
        api.drydock(&format!("webhook rotate {id}")).ok().await.says("the one before signs as well until").line();
    assert!(newer.parse::<SigningSecret>().is_ok() && newer != secret);
    for text in [&shown, &listed, &json.line()] {
        assert!(!text.contains("whsec_"), "{text}");
    }
    let delivery = api.drydock(&format!("webhook test {id}")).ok().await.line();
    let log = api.drydock(&format!("webhook deliveries {id}")).ok().await.text();
    assert!(log.lines().nth(1).unwrap().starts_with(&format!("{delivery}  webhook.test  pending  0 ")), "{log}");
    assert_eq!(api.drydock(&format!("webhook redeliver {id} {delivery}")).ok().await.line(), delivery);
    let changed =
        api.drydock(&format!("webhook set {id} --name y --all-events --pause")).ok().await.says("changed webhook");
    assert!(changed.text().contains("events      all\nstatus      paused\n"), "{}", changed.text());
    api.drydock(&format!("webhook test {id}")).end().await.exit(5).says("set paused to false first");
    assert!(api.drydock(&format!("webhook set {id} --resume")).ok().await.text().contains("status      active\n"));
    api.drydock("webhook create x https://10.0.0.1/").end().await.exit(2).says("DRYDOCK_WEBHOOK_ALLOW_PRIVATE");
    api.drydock(&format!("webhook rm {id}")).ok().await.says("removed webhook");
    api.drydock(&format!("webhook status {id}")).end().await.exit(4).says("Webhook not found");
    assert_eq!(api.drydock("webhook ls").ok().await.text().lines().count(), 1);
}
