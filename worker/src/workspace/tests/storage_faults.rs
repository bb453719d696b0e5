//! Every request to object storage fails once, in every way there is, on the way of a project: a push, a materialization on
//! another node, a push of changes, and a materialization of those on a third node.

use drydock_runtime::exit::chain;
use drydock_storage::{Storage, StorageError, StorageErrorKind};
use drydock_testing::{HttpFault, HttpFaults};
use rand::Rng as _;
use tempfile::TempDir;

use super::{Node, Project, Rung, Workspace, WorkspaceError, oracle};

/// Of the version that lies in many.
const PACKS: usize = 60;

/// A way whose requests may be spoiled.
struct Way<'f> {
    faults: &'f HttpFaults,
    storage: Storage,
    /// The failure there was, and the object it was about.
    failed: Option<(WorkspaceError, String)>,
    spoiled: u64,
}

impl<'f> Way<'f> {
    fn new(faults: &'f HttpFaults, storage: &Storage) -> Self {
        Self { faults, storage: storage.clone(), failed: None, spoiled: 0 }
    }

    /// Takes a step, and once more where it failed: what failed left nothing in the way of that.
    async fn step<T>(&mut self, node: &Node, step: impl AsyncFn() -> Result<T, WorkspaceError>) -> T {
        let error = match Box::pin(step()).await {
            Ok(done) => return done,
            Err(error) => error,
        };
        node.materializer.cache().audit().await;
        assert_eq!(node.materializer.cache().counted(), 0, "nothing is kept of what failed: {error:?}");
        let target = self.faults.target().unwrap_or_else(|| panic!("nothing was spoiled: {}", chain(&error)));
        self.spoiled += self.faults.spoiled();
        self.faults.heal();
        assert!(self.failed.replace((error, target)).is_none());
        Box::pin(step()).await.unwrap()
    }

    async fn go(&mut self) {
        let mut project = Project::over(self.storage.clone(), disk(), Rung::Copy);
        // Everything into objects.
        project.inline_max = 0;
        let one = tempfile::tempdir().unwrap();
        fill(one.path());
        let pushed = self.step(&project.node, async || project.push(one.path(), None).await).await;
        let first = pushed.written.unwrap().manifest().unwrap();

        let disks = [disk(), disk()];
        let node = Node::at(disks[0].path(), Rung::Copy, &self.storage);
        let workspace = self.step(&node, async || node.materialize(&first).await).await;
        assert_eq!(oracle::read(workspace.path()), oracle::read(one.path()));

        let changed: Vec<u8> = fs_err::read(one.path().join("big")).unwrap()[7..70_000].to_vec();
        fs_err::write(workspace.path().join("d/changed"), changed).unwrap();
        project.head = Some(first);
        let push = async || project.push(workspace.path(), workspace.how()).await;
        let pushed = self.step(&project.node, push).await;
        let second = pushed.written.unwrap().manifest().unwrap();

        let node = Node::at(disks[1].path(), Rung::Copy, &self.storage);
        let last: Workspace = self.step(&node, async || node.materialize(&second).await).await;
        assert_eq!(oracle::read(last.path()), oracle::read(workspace.path()));
        last.scratch.close().await.unwrap();
        node.assert_clean().await;
        self.spoiled += self.faults.spoiled();
    }
}

/// In memory, where syncing costs nothing: it is waited for each time.
fn disk() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

/// A chunk and a solid block, never the same twice, or nothing would be left to store.
fn fill(top: &std::path::Path) {
    let mut noise = vec![0; 600_000];
    rand::rng().fill_bytes(&mut noise);
    fs_err::create_dir(top.join("d")).unwrap();
    fs_err::write(top.join("d/changed"), &noise[..10]).unwrap();
    fs_err::write(top.join("big"), noise).unwrap();
}

/// A way to the test server that may be spoiled, and storage behind it.
async fn faulty() -> (HttpFaults, Storage) {
    let mut config = drydock_testing::storage_config();
    let server = config.endpoint.take().unwrap();
    let faults = HttpFaults::start(server.trim_start_matches("http://").trim_end_matches('/').to_owned()).await;
    config.endpoint = Some(format!("http://{}", faults.address()));
    let storage = drydock_testing::storage(&config);
    (faults, storage)
}

/// Breaks each request of the way in turn; answers how many answers were spoiled.
async fn at_each(arm: impl Fn(&HttpFaults, u64), check: impl Fn(&Way<'_>)) -> u64 {
    let (faults, storage) = faulty().await;
    let mut spoiled = 0;
    for request in 0.. {
        arm(&faults, request);
        let mut way = Way::new(&faults, &storage);
        Box::pin(way.go()).await;
        check(&way);
        spoiled += way.spoiled;
        if way.failed.is_none() && faults.requests() <= request {
            // Two packs and two manifests stored, of which three and one are read by one node and the other.
            assert!(request >= 8, "only {request} requests were broken");
            break;
        }
    }
    spoiled
}

#[tokio::test]
async fn what_passes_is_survived() {
    for fault in [HttpFault::SlowDown, HttpFault::Reset, HttpFault::Short, HttpFault::Whole, HttpFault::Damaged] {
        let survived = |way: &Way<'_>| {
            let error = way.failed.as_ref().map(|(error, target)| format!("{target}: {}", chain(error)));
            assert_eq!(error, None, "{fault:?} was not survived");
        };
        let spoiled = at_each(|faults, request| faults.once(request, fault), survived).await;
        assert!(spoiled >= 3, "{fault:?} spoiled {spoiled} answers");
    }
}

#[tokio::test]
async fn what_stays_is_said_of_its_object_and_leaves_nothing() {
    let kinds: [(HttpFault, &[StorageErrorKind]); 3] = [
        (HttpFault::NotFound, &[StorageErrorKind::NotFound]),
        (HttpFault::Damaged, &[StorageErrorKind::Corrupt]),
        (HttpFault::Short, &[StorageErrorKind::Corrupt]),
    ];
    for (fault, kinds) in kinds {
        let told = |way: &Way<'_>| {
            assert_eq!(way.failed.is_some(), way.spoiled > 0, "{fault:?}");
            let Some((error, target)) = &way.failed else { return };
            let WorkspaceError::Storage(storage) = error else { panic!("{fault:?}: {error:?}") };
            assert!(kinds.contains(&storage.kind()), "{fault:?}: {error:?}");
            let id = target.rsplit('/').next().unwrap();
            assert!(chain(error).contains(id), "{fault:?} of {target}: {}", chain(error));
        };
        let spoiled = at_each(|faults, request| faults.forever(request, fault), told).await;
        assert!(spoiled >= 4, "{fault:?} spoiled {spoiled} answers");
    }
}

/// Storage that is busy for longer than it is asked: typed as what may pass, and fewer requests go out from then on.
#[tokio::test]
async fn a_busy_storage_is_asked_for_less_at_once() {
    let (faults, storage) = faulty().await;
    let mut project = Project::over(storage, disk(), Rung::Copy);
    let one = tempfile::tempdir().unwrap();
    fill(one.path());
    project.commit(one.path(), None).await;
    let version = project.head.clone().unwrap();
    let cache = project.node.materializer.cache();
    let before = cache.fetch_limit();
    // The manifest is the first request.
    faults.forever(1, HttpFault::SlowDown);
    let error = project.node.materialize(&version).await.err().unwrap();
    let WorkspaceError::Storage(StorageError::Unavailable { .. }) = error else { panic!("{error:?}") };
    assert!(faults.spoiled() > 1, "it was asked again");
    assert!(cache.fetch_limit() < before, "{} requests at once", cache.fetch_limit());
    project.node.assert_clean().await;
    faults.heal();
    let workspace = project.node.materialize(&version).await.unwrap();
    assert_eq!(oracle::read(workspace.path()), oracle::read(one.path()));
}

/// A version in many packs, each of which takes a request.
async fn scattered(project: &mut Project) -> oracle::Nodes {
    let directory = tempfile::tempdir().unwrap();
    project.inline_max = 0;
    for number in 0..PACKS {
        let mut noise = vec![0; 1000];
        rand::rng().fill_bytes(&mut noise);
        fs_err::write(directory.path().join(number.to_string()), noise).unwrap();
        project.commit(directory.path(), None).await;
    }
    oracle::read(directory.path())
}

/// More at once where storage bears it, and fewer where it does not.
#[tokio::test]
async fn requests_at_once_follow_what_storage_bears() {
    let (faults, storage) = faulty().await;
    let mut project = Project::over(storage, disk(), Rung::Copy);
    let expected = scattered(&mut project).await;
    let version = project.head.clone().unwrap();
    assert_eq!(version.packs().len(), PACKS);
    for most in [u64::MAX, 4] {
        let disk = disk();
        let node = Node::at(disk.path(), Rung::Copy, &project.storage);
        let cache = node.materializer.cache();
        let before = cache.fetch_limit();
        faults.bear(most);
        let workspace = node.materialize(&version).await.unwrap();
        assert!(oracle::read(workspace.path()) == expected);
        println!("bears {most}: {} spoiled, {} at once at most", faults.spoiled(), faults.peak());
        assert!(faults.peak() <= 20, "{} at once", faults.peak());
        let after = cache.fetch_limit();
        if faults.spoiled() == 0 {
            assert!(most > 4 && cache.fetches_halved() == 0 && after > before, "{before} grew to {after} only");
        } else {
            // It grows again while nobody complains, so where it is at the end depends on the load.
            assert!(most == 4 && cache.fetches_halved() > 0 && after < before, "{before} fell to {after} only");
        }
    }
}
