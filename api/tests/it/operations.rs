//! The endpoints at the root, and a stop that finishes what runs.

use serde_json::json;

use crate::harness::Api;

#[tokio::test]
async fn the_operations_endpoints_answer() {
    let api = Api::start().await;
    assert_eq!(api.get("//livez").await.expect(200).body, b"ok");
    assert_eq!(api.get("//readyz").await.expect(200).json(), json!({"ready": true, "checks": {"database": "ok"}}));
    assert_eq!(api.get("//version").await.expect(200).json()["component"], "api");
    api.project().await;
    api.get("/projects/x").await.expect(404);
    let metrics = String::from_utf8(api.get("//metrics").await.expect(200).body).unwrap();
    let counted = "drydock_api_request_seconds_count{method=\"GET\",route=\"/api/v1/projects/{id}\",status=\"4xx\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    for name in ["drydock_build_info", "drydock_api_streams", "drydock_storage", "process_resident_memory_bytes"] {
        assert!(metrics.contains(name), "{name}");
    }
    api.stop().await;
}
