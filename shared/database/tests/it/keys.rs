//! Tenants, users and keys: each sees its own, a key counts as long as it should, and the first one is made once.

use std::time::Duration;

use drydock_database::{
    Client,
    api_key::{self, Bootstrapped, NewApiKey, Standing},
    page::Cursor,
    tenant,
    user::{self, Changed, NewUser, UserChange},
};
use drydock_domain::{ApiKey, ApiKeyId, Role, Scope, Scopes, TenantId, UserId};

fn new(tenant: TenantId, role: Role) -> (NewApiKey, ApiKey) {
    let key = ApiKey::generate();
    let (id, prefix, hash) = (ApiKeyId::generate(), key.prefix(), key.hash());
    let name = format!("{role}'s");
    (NewApiKey { id, tenant, user: None, name, prefix, hash, role, scopes: None, lifetime: None }, key)
}

async fn made(client: &Client, change: impl FnOnce(&mut NewApiKey)) -> NewApiKey {
    let (mut new, _) = new(TenantId::DEFAULT, Role::Owner);
    change(&mut new);
    api_key::create(client, &new).await.unwrap();
    new
}

async fn standing(client: &Client, key: &NewApiKey) -> Standing {
    api_key::by_prefix(client, key.prefix).await.unwrap().unwrap().standing
}

async fn another_tenant(client: &mut Client) -> TenantId {
    let (first, _) = new(TenantId::generate(), Role::Owner);
    assert!(tenant::create(client, "another", &first).await.unwrap());
    first.tenant
}

#[tokio::test]
async fn a_key_is_found_as_it_was_made() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    assert!(!api_key::exists(&client).await.unwrap());
    let few = Scopes::of(&[Scope::JobsRead, Scope::FleetRead]);
    let key = made(&client, |new| new.scopes = Some(few)).await;
    assert!(api_key::exists(&client).await.unwrap());
    let found = api_key::by_prefix(&client, key.prefix).await.unwrap().unwrap();
    assert_eq!((found.id, found.tenant, found.hash, found.role), (key.id, key.tenant, key.hash, Role::Owner));
    assert_eq!(found.scopes, Scopes::of(&[Scope::JobsRead]), "what its role has of its list");
    assert_eq!(found.standing, Standing::Valid(None));
    let unknown = ApiKey::generate();
    assert!(api_key::by_prefix(&client, unknown.prefix()).await.unwrap().is_none());
    // As a later release would have written it: what is unknown grants nothing, and is no empty list, which means all.
    client.batch_execute("UPDATE api_key SET scopes = '{moon:write}'").await.unwrap();
    assert!(api_key::by_prefix(&client, key.prefix).await.unwrap().unwrap().scopes.is_empty());
}

#[tokio::test]
async fn a_key_counts_until_its_time_is_over_or_it_is_revoked() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let key = made(&client, |new| new.lifetime = Some(Duration::from_secs(90))).await;
    let Standing::Valid(Some(left)) = standing(&client, &key).await else { panic!("it is valid for a while") };
    assert!(left <= Duration::from_secs(90) && left > Duration::from_secs(30), "{left:?}");
    client.batch_execute("UPDATE api_key SET expires_at = clock_timestamp() - interval '1 ms'").await.unwrap();
    assert_eq!(standing(&client, &key).await, Standing::Expired);
    for _ in 0..2 {
        assert_eq!(api_key::revoke(&client, key.tenant, key.id).await.unwrap(), Some(key.prefix));
        assert_eq!(standing(&client, &key).await, Standing::Revoked);
    }
    let row = api_key::find(&client, key.tenant, key.id).await.unwrap().unwrap();
    api_key::revoke(&client, key.tenant, key.id).await.unwrap();
    let again = api_key::find(&client, key.tenant, key.id).await.unwrap().unwrap();
    assert!(row.revoked_at.is_some() && row.revoked_at == again.revoked_at, "revoking again changes nothing");
    assert!(api_key::exists(&client).await.unwrap(), "a revoked key is one");
}

#[tokio::test]
async fn a_key_has_no_more_than_its_user() {
    let database = drydock_testing::database().await;
    let mut client = database.client().await.unwrap();
    let (tenant, id) = (TenantId::DEFAULT, UserId::generate());
    let ada = |email: &str, tenant| NewUser {
        id: UserId::generate(),
        tenant,
        name: "Ada".to_owned(),
        email: email.to_owned(),
        role: Role::Viewer,
    };
    assert!(user::create(&client, &NewUser { id, ..ada("ada@example.org", tenant) }).await.unwrap());
    assert!(!user::create(&client, &ada("Ada@Example.org", tenant)).await.unwrap(), "once in a tenant");
    let other = another_tenant(&mut client).await;
    assert!(user::create(&client, &ada("ada@example.org", other)).await.unwrap(), "and in each");
    assert!(user::find(&client, other, id).await.unwrap().is_none());
    let key = made(&client, |new| new.user = Some(id)).await;
    let found = api_key::by_prefix(&client, key.prefix).await.unwrap().unwrap();
    assert_eq!((found.user, found.role, found.scopes), (Some(id), Role::Owner, Role::Viewer.scopes()));
    client.execute("UPDATE user_account SET disabled_at = now() WHERE id = $1", &[&id.uuid()]).await.unwrap();
    assert_eq!(standing(&client, &key).await, Standing::Disabled);
    let (mut foreign, _) = new(other, Role::Viewer);
    foreign.user = Some(id);
    assert!(api_key::create(&client, &foreign).await.is_err(), "a key's user is of the key's tenant");
}

#[tokio::test]
async fn a_tenant_sees_its_own() {
    let database = drydock_testing::database().await;
    let mut client = database.client().await.unwrap();
    let other = another_tenant(&mut client).await;
    let (taken, _) = new(TenantId::generate(), Role::Owner);
    assert!(!tenant::create(&mut client, "another", &taken).await.unwrap());
    assert!(api_key::by_prefix(&client, taken.prefix).await.unwrap().is_none(), "no key of a tenant that was not made");
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(made(&client, |_| {}).await.id);
    }
    keys.reverse();
    let first = api_key::list(&client, TenantId::DEFAULT, Cursor::start(), 2).await.unwrap();
    let rest = api_key::list(&client, TenantId::DEFAULT, first.next.unwrap(), 2).await.unwrap();
    let listed: Vec<ApiKeyId> = first.items.iter().chain(&rest.items).map(|row| row.id).collect();
    assert_eq!(listed, keys);
    assert_eq!(rest.next, None);
    assert_eq!(api_key::list(&client, other, Cursor::start(), 9).await.unwrap().items.len(), 1);
    assert!(api_key::find(&client, other, keys[0]).await.unwrap().is_none());
    assert!(api_key::revoke(&client, other, keys[0]).await.unwrap().is_none());
    let row = api_key::find(&client, TenantId::DEFAULT, keys[0]).await.unwrap().unwrap();
    assert_eq!(row.revoked_at, None, "another tenant's revocation does nothing");
    let tenants = tenant::list(&client, Cursor::start(), 9).await.unwrap().items;
    assert_eq!(tenants.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["another", "default"]);
    assert_eq!(tenant::find(&client, other).await.unwrap().unwrap().name, "another");
}

#[tokio::test]
async fn a_use_is_noted_once_a_minute() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let key = made(&client, |_| {}).await;
    let presented = async || api_key::by_prefix(&client, key.prefix).await.unwrap().unwrap();
    let touch = async || presented().await.touch;
    let used = async || api_key::find(&client, key.tenant, key.id).await.unwrap().unwrap().last_used_at;
    assert!(touch().await);
    api_key::touch(&client, &presented().await).await.unwrap();
    let first = used().await;
    assert!(first.is_some() && !touch().await);
    api_key::touch(&client, &presented().await).await.unwrap();
    assert_eq!(used().await, first);
    client.batch_execute("UPDATE api_key SET last_used_at = last_used_at - interval '61 s'").await.unwrap();
    assert!(touch().await);
    api_key::touch(&client, &presented().await).await.unwrap();
    assert!(used().await > first);
}

#[tokio::test]
async fn a_bootstrap_waits_for_one_that_is_just_under_way() {
    const WAITS: &str = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'api_key'::regclass";
    let database = drydock_testing::database().await;
    let (mut first, second) = (database.client().await.unwrap(), database.client().await.unwrap());
    let observer = database.client().await.unwrap();
    let key = || {
        let key = ApiKey::generate();
        (ApiKeyId::generate(), key.prefix(), key.hash())
    };
    let transaction = first.transaction().await.unwrap();
    assert_eq!(api_key::bootstrap(&transaction, key(), "default", "a", false).await.unwrap(), Bootstrapped::Made);
    let mut other = std::pin::pin!(api_key::bootstrap(&second, key(), "default", "b", false));
    let waits = drydock_testing::until("it waits", Duration::from_secs(20), async || {
        (!observer.query(WAITS, &[]).await.unwrap().is_empty()).then_some(())
    });
    let outcome = tokio::select! {
        outcome = &mut other => outcome,
        () = waits => {
            transaction.commit().await.unwrap();
            other.await
        }
    };
    assert_eq!(outcome.unwrap(), Bootstrapped::KeysExist);
}

#[tokio::test]
async fn of_many_bootstraps_at_once_one_makes_the_key() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let bootstrap = async |tenant: &'static str, again| {
        let client = database.client().await.unwrap();
        let key = ApiKey::generate();
        let key = (ApiKeyId::generate(), key.prefix(), key.hash());
        api_key::bootstrap(&client, key, tenant, "admin", again).await.unwrap()
    };
    assert_eq!(bootstrap("nobody", false).await, Bootstrapped::NoTenant);
    let all = futures_util::future::join_all((0..6).map(|_| bootstrap("default", false))).await;
    assert_eq!(all.iter().filter(|outcome| **outcome == Bootstrapped::Made).count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|outcome| **outcome == Bootstrapped::KeysExist).count(), 5, "{all:?}");
    let keys = api_key::list(&client, TenantId::DEFAULT, Cursor::start(), 9).await.unwrap().items;
    assert_eq!(keys.iter().map(|row| (row.name.as_str(), row.role)).collect::<Vec<_>>(), [("admin", Role::Admin)]);
    api_key::revoke(&client, TenantId::DEFAULT, keys[0].id).await.unwrap();
    assert_eq!(bootstrap("default", false).await, Bootstrapped::KeysExist, "a revoked key is one");
    assert_eq!(bootstrap("default", true).await, Bootstrapped::Made);
}

/// Red without the lock on the tenant: each then sees the other one as an owner still.
#[tokio::test]
async fn of_two_owners_who_end_each_other_one_stays() {
    let database = drydock_testing::database().await;
    let (mut first, second, watch) =
        (database.client().await.unwrap(), database.client().await.unwrap(), database.client().await.unwrap());
    let (one, two) = (UserId::generate(), UserId::generate());
    for (id, email) in [(one, "one@example.org"), (two, "two@example.org")] {
        let (name, email) = (email.to_owned(), email.to_owned());
        let new = NewUser { id, tenant: TenantId::DEFAULT, name, email, role: Role::Owner };
        assert!(user::create(&second, &new).await.unwrap());
    }
    let off = UserChange { disabled: Some(true), ..UserChange::default() };
    let transaction = first.transaction().await.unwrap();
    assert_eq!(user::change(&transaction, TenantId::DEFAULT, one, 1, &off).await.unwrap(), Changed::Done);
    let waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let (ended, ()) = tokio::join!(user::change(&second, TenantId::DEFAULT, two, 1, &off), async {
        drydock_testing::until("the second waits for the first", Duration::from_secs(10), async || {
            (watch.query(waiting, &[]).await.unwrap().len() == 1).then_some(())
        })
        .await;
        transaction.commit().await.unwrap();
    });
    assert_eq!(ended.unwrap(), Changed::LastOwner);
}
