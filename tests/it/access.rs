//! Users of the control plane: the first administrator, sessions on two control planes, roles and keys, from the outside.

use harness::client::{Reply, client};
use harness::control_plane::Setup;
use harness::{ControlPlane, Mongo, gwctl, wait};
use reqwest::Method;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn from_the_token_of_the_first_start_to_a_key_for_a_program() {
    let mut control_plane = ControlPlane::start().await;
    let shown = control_plane.process.output();
    let token = first_admin_token(&shown);
    let first = json!({"token": token, "email": "ana@clinic.example", "password": PASSWORD});
    let made = Reply::of(anybody(&control_plane, "first-admin").json(&first)).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let ana = made.json()["token"].as_str().unwrap().to_owned();

    let ben = json!({"email": "ben@clinic.example", "role": "USER", "orgIds": [648], "password": PASSWORD});
    let path = "/api/v1/admin/users";
    let created = call(&control_plane, &ana, Method::POST, path, Some(&ben)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let ben = sign_in(&control_plane, "ben@clinic.example").await;
    let refused = call(&control_plane, &ben, Method::GET, path, None).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "FORBIDDEN"));
    let key = json!({"name": "nightly", "role": "READ_ONLY", "orgIds": [648]});
    let key = call(&control_plane, &ana, Method::POST, "/api/v1/admin/api-keys", Some(&key)).await;
    let key = key.json()["key"].as_str().unwrap().to_owned();

    // All of it is on disk.
    control_plane.process.kill();
    let control_plane = control_plane.setup().start().await;
    assert!(
        !control_plane.process.output().contains("first administrator"),
        "there is somebody"
    );
    for token in [&ana, &ben] {
        assert_eq!(
            call(&control_plane, token, Method::GET, "/api/v1/auth/me", None)
                .await
                .status,
            200
        );
    }
    let with_key = |method, path: &str| {
        let url = format!("{}{path}", control_plane.url());
        client().request(method, url).header("x-api-key", &key).json(&json!({}))
    };
    let read = Reply::of(with_key(Method::GET, "/api/v1/logs?orgId=648")).await;
    assert_eq!(read.status, 200, "{}", read.text());
    let write = Reply::of(with_key(Method::POST, "/api/v1/inbound-integrations?orgId=648")).await;
    assert_eq!((write.status, write.code().as_str()), (403, "FORBIDDEN"));

    let audit = call(&control_plane, &ana, Method::GET, "/api/v1/admin/audit-logs", None).await;
    for action in [
        "auth.first-admin",
        "user.create",
        "auth.login",
        "apiKey.create",
        "organization.create",
    ] {
        assert!(audit.text().contains(action), "{action} is not in {}", audit.text());
    }
    for secret in [PASSWORD, token.as_str(), &key, &ana] {
        assert!(!audit.text().contains(secret));
        assert!(!control_plane.process.output().contains(secret) && !files_hold(&control_plane, secret));
    }
}

#[tokio::test]
async fn a_session_that_ends_at_one_control_plane_ends_at_the_other() {
    let Some(mongo) = Mongo::available().await else { return };
    let one = Setup::new().mongo(&mongo).start().await;
    let other = one.setup_of_a_sibling().start().await;
    let ben = json!({"email": "ben@clinic.example", "role": "USER", "orgIds": [648], "password": PASSWORD});
    let created = one.post("/api/v1/admin/users", &ben).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let me = "/api/v1/auth/me";
    let token = sign_in(&one, "ben@clinic.example").await;
    assert_eq!(call(&other, &token, Method::GET, me, None).await.status, 200);
    let logout = call(&one, &token, Method::POST, "/api/v1/auth/logout", None).await;
    assert_eq!(logout.status, 204, "{}", logout.text());
    assert_eq!(call(&one, &token, Method::GET, me, None).await.status, 401, "at once");
    wait::until("the end of the session at the other control plane", async || {
        (call(&other, &token, Method::GET, me, None).await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_person_works_from_the_command_line() {
    let control_plane = ControlPlane::start().await;
    let ben = json!({"email": "ben@clinic.example", "role": "USER", "orgIds": [648], "password": PASSWORD});
    assert_eq!(control_plane.post("/api/v1/admin/users", &ben).await.status, 201);
    let home = tempfile::TempDir::new().unwrap();
    let password = home.path().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let gwctl = async |arguments: &[&str]| {
        let mut command = std::process::Command::new(harness::binaries::find("gwctl"));
        command.args(arguments).args(["--server", &control_plane.url()]);
        command
            .env("XDG_CONFIG_HOME", home.path())
            .env_remove("GWCTL_KEY")
            .env_remove("GWCTL_KEY_FILE");
        tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap()
    };
    let list = ["get", "integrations", "--org", "648"];
    assert_eq!(gwctl(&list).await.status.code(), Some(4), "nobody is signed in");
    let login = [
        "login",
        "--email",
        "ben@clinic.example",
        "--password-file",
        password.to_str().unwrap(),
    ];
    let signed_in = gwctl(&login).await;
    let said = String::from_utf8_lossy(&signed_in.stderr).into_owned();
    assert!(
        signed_in.status.success() && said.contains("signed in as ben@clinic.example (USER)"),
        "{said}"
    );
    let file = home.path().join("gwctl").join("tokens.json");
    let token = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions()) & 0o777,
        0o600
    );
    assert_eq!(gwctl(&list).await.status.code(), Some(0));
    assert_eq!(
        gwctl(&["get", "integrations", "--org", "7"]).await.status.code(),
        Some(4)
    );
    assert!(gwctl(&["logout"]).await.status.success());
    assert_eq!(gwctl(&list).await.status.code(), Some(4));
    let token: Value = serde_json::from_str(&token).unwrap();
    let token = token
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        call(&control_plane, &token, Method::GET, "/api/v1/auth/me", None)
            .await
            .status,
        401
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn administrators_work_from_the_command_line() {
    let control_plane = ControlPlane::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let run = async |arguments: &[&str]| gwctl::against(&control_plane, arguments).await;
    let password = file("password", PASSWORD);

    let ben = [
        "users",
        "create",
        "--email",
        "Ben@clinic.example",
        "--role",
        "user",
        "--org",
        "648",
    ];
    let made = run(&[&ben[..], &["--password-file", &password, "-o", "json"]].concat()).await;
    assert_eq!(made.code, 0, "{made:?}");
    assert!(!format!("{made:?}").contains(PASSWORD));
    assert_eq!(made.json()["orgIds"], json!([648]));
    let token = sign_in(&control_plane, "ben@clinic.example").await;
    let listed = run(&["users", "list", "--search", "clinic"]).await;
    assert!(
        listed.stdout.starts_with("ID ") && listed.stdout.contains("ben@clinic.example"),
        "{listed:?}"
    );
    assert_eq!(run(&["users", "end-sessions", "ben@clinic.example"]).await.code, 0);
    assert_eq!(
        call(&control_plane, &token, Method::GET, "/api/v1/auth/me", None)
            .await
            .status,
        401
    );
    let set = [
        "users",
        "set",
        "ben@clinic.example",
        "--role",
        "read-only",
        "--all-orgs",
        "-o",
        "json",
    ];
    let set = run(&set).await.json();
    assert_eq!((&set["role"], set.get("orgIds")), (&json!("READ_ONLY"), None));
    assert_eq!(
        run(&["users", "set", "ben@clinic.example"]).await.code,
        2,
        "nothing is to change"
    );
    assert_eq!(run(&["users", "delete", "ben@clinic.example"]).await.code, 0);
    let gone = run(&["users", "show", set["id"].as_str().unwrap()]).await;
    assert_eq!(gone.code, 4, "{gone:?}");

    let create = [
        "keys",
        "create",
        "--name",
        "letters",
        "--org",
        "648",
        "--scope",
        "dlq:read",
        "--scope",
        "logs:read",
    ];
    let made = run(&[&create[..], &["-o", "json"]].concat()).await.json();
    let (key, id) = (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap());
    let with_key = async |method: Method, path: &str| {
        let url = format!("{}/api/v1/{path}", control_plane.url());
        Reply::of(client().request(method, url).header("x-api-key", &key).json(&json!({}))).await
    };
    assert_eq!(with_key(Method::GET, "dlq?orgId=648").await.status, 200);
    let refused = with_key(Method::POST, "dlq/1/retry?orgId=648").await;
    assert!(
        refused.status == 403 && refused.text().contains("dlq:retry"),
        "{}",
        refused.text()
    );
    let listed = run(&["keys", "list"]).await;
    assert!(
        listed.stdout.contains("logs:read,dlq:read") && !listed.stdout.contains(&key),
        "{listed:?}"
    );
    let wrong = run(&["keys", "set", id, "--scope", "dlq:everything"]).await;
    assert!(wrong.code == 4 && wrong.stderr.contains("dlq:retry"), "{wrong:?}");
    assert_eq!(run(&["keys", "set", id, "--scope", "dlq:write"]).await.code, 0);
    assert_eq!(with_key(Method::POST, "dlq/1/retry?orgId=648").await.status, 404);
    assert_eq!(run(&["keys", "delete", id]).await.code, 0);
    let refused = with_key(Method::GET, "dlq?orgId=648").await;
    assert_eq!(refused.status, 401);
    assert!(
        refused
            .header("www-authenticate")
            .unwrap_or_default()
            .starts_with("Bearer realm=")
    );
    let shown = run(&["keys", "create", "--name", "shown"]).await;
    let last = shown.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with("igk_"), "{shown:?}");
}

#[tokio::test]
async fn templates_are_kept_from_files_and_filled() {
    let control_plane = ControlPlane::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, value: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let run = async |arguments: &[&str]| gwctl::against(&control_plane, arguments).await;
    let template = json!({"id": "lab", "orgId": 648, "name": "Lab", "kind": "INBOUND",
        "parameters": [{"name": "code", "type": "text", "example": "lab"}, {"name": "token", "type": "secret"}],
        "body": {"name": "Orders of {{parameters.code}}", "type": "orders-{{parameters.code}}",
            "targetUrl": "https://partner.example/", "outgoingAuthType": "BEARER",
            "outgoingAuthConfig": {"token": "{{parameters.token}}"}}});
    let put = run(&["templates", "put", "-f", &file("lab.json", &template)]).await;
    assert_eq!(put.code, 0, "{put:?}");
    let listed = run(&["templates", "list", "--org", "648", "-o", "json"]).await.json();
    assert_eq!(listed["templates"][0]["id"], "lab");
    let secret = file("token.json", &json!({"token": "planted-token"}));
    let create = [
        "templates",
        "create",
        "lab",
        "--org",
        "648",
        "--set",
        "code=xray",
        "-f",
        &secret,
        "--id",
        "xray",
    ];
    let tried = run(&[&create[..], &["--dry-run"]].concat()).await;
    assert!(
        tried.code == 0 && tried.stderr.contains("nothing was made"),
        "{tried:?}"
    );
    let made = run(&[&create[..], &["-o", "json"]].concat()).await;
    assert_eq!(made.json()["integration"]["name"], "Orders of xray", "{made:?}");
    assert!(!made.stdout.contains("planted-token"), "{made:?}");
    let got = run(&["get", "integration", "xray", "--org", "648"]).await;
    assert_eq!(got.code, 0, "{got:?}");
    assert_eq!(run(&["templates", "delete", "lab", "--org", "648"]).await.code, 0);
    assert_eq!(run(&["templates", "show", "lab"]).await.code, 4);
}

#[tokio::test]
async fn jobs_are_kept_from_files() {
    let control_plane = ControlPlane::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, value: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let run = async |arguments: &[&str]| gwctl::against(&control_plane, arguments).await;
    let mut job = json!({"orgId": 648, "name": "Bills", "type": "DAILY_EXPORT", "targetUrl": "https://partner.example/bills",
        "schedule": {"type": "CRON", "expression": "0 9 * * *", "timezone": "Asia/Kolkata"},
        "dataSource": {"type": "API", "url": "https://api.example/bills", "headers": {"X-API-Key": "planted-key"}}});
    let made = run(&["jobs", "put", "-f", &file("bills.json", &job), "-o", "json"]).await;
    assert_eq!(made.code, 0, "{made:?}");
    assert!(!made.stdout.contains("planted-key"), "{made:?}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    job["id"] = json!(id);
    job["name"] = json!("All bills");
    assert_eq!(run(&["jobs", "put", "-f", &file("bills.json", &job)]).await.code, 0);
    let listed = run(&["jobs", "list", "--org", "648"]).await;
    assert!(
        listed.stdout.contains("All bills") && listed.stdout.lines().count() == 2,
        "{listed:?}"
    );
    job["targetUrl"] = json!("nowhere");
    let wrong = run(&["jobs", "put", "-f", &file("bills.json", &job)]).await;
    assert!(wrong.code == 4 && wrong.stderr.contains("targetUrl"), "{wrong:?}");
    assert_eq!(
        run(&["jobs", "put", "-f", &file("list.json", &json!([]))]).await.code,
        3
    );
    assert_eq!(run(&["jobs", "delete", &id, "--org", "648"]).await.code, 0);
    assert_eq!(run(&["jobs", "show", &id]).await.code, 4);
}

#[tokio::test]
async fn neither_forged_nor_stale_credentials_nor_other_spellings_come_in() {
    let control_plane = ControlPlane::start().await;
    let ben = json!({"email": "ben@clinic.example", "role": "USER", "orgIds": [648], "password": PASSWORD});
    let created = control_plane.post("/api/v1/admin/users", &ben).await.json();
    let account = format!("/api/v1/admin/users/{}", created["id"].as_str().unwrap());
    let token = sign_in(&control_plane, "ben@clinic.example").await;
    let me = "/api/v1/auth/me";
    let [_, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("no JWT")
    };
    // {"alg":"none","typ":"JWT"}, {"alg":"HS512","typ":"JWT"}, {"alg":"RS256","typ":"JWT"}
    for header in [
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0",
        "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9",
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9",
    ] {
        for signature in ["", signature] {
            let forged = format!("{header}.{claims}.{signature}");
            let refused = call(&control_plane, &forged, Method::GET, me, None).await;
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (401, "UNAUTHORIZED"),
                "{forged}"
            );
        }
    }
    assert_eq!(call(&control_plane, &token, Method::GET, me, None).await.status, 200);

    // The organization of the path, the query and the body are the same one, or it is refused.
    let foreign = json!({"id": "x", "name": "x", "type": "x", "orgId": 7, "targetUrl": "https://partner.example"});
    for path in [
        "/api/v1/inbound-integrations",
        "/api/v1/inbound-integrations?orgId=648",
        "/api/v1/inbound-integrations?orgId=7",
        "/api/v1/inbound-integrations?orgId=648&orgId=7",
    ] {
        let refused = call(&control_plane, &token, Method::POST, path, Some(&foreign)).await;
        assert!([400, 403].contains(&refused.status), "{path}: {}", refused.text());
    }
    let off = json!({"isActive": false});
    let patch = control_plane.request(Method::PATCH, &account).json(&off);
    assert_eq!(Reply::of(patch).await.status, 200);
    assert_eq!(call(&control_plane, &token, Method::GET, me, None).await.status, 401);

    // However an address is spelled, and wherever a request says it is from, it is one account tried from one place.
    let spellings = [
        "ana@clinic.example",
        " ana@clinic.example",
        "ANA@clinic.example",
        "Ana@Clinic.Example\t",
    ];
    let mut answers = Vec::new();
    for number in 0..8 {
        let body = json!({"email": spellings[number % spellings.len()], "password": "wrong"});
        let from = format!("192.0.2.{number}");
        let request = anybody(&control_plane, "login")
            .header("x-forwarded-for", from)
            .json(&body);
        answers.push(Reply::of(request).await.status);
    }
    assert_eq!(answers, [401, 401, 401, 401, 401, 429, 429, 429]);
}

fn first_admin_token(output: &str) -> String {
    let line = output
        .lines()
        .find(|line| line.starts_with("token of the first administrator"));
    let token = line.and_then(|line| line.rsplit(' ').next());
    token.unwrap_or_else(|| panic!("no token in {output}")).to_owned()
}

fn anybody(control_plane: &ControlPlane, path: &str) -> reqwest::RequestBuilder {
    client().post(format!("{}/api/v1/auth/{path}", control_plane.url()))
}

async fn sign_in(control_plane: &ControlPlane, email: &str) -> String {
    let body = json!({"email": email, "password": PASSWORD});
    let signed_in = Reply::of(anybody(control_plane, "login").json(&body)).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text());
    signed_in.json()["token"].as_str().unwrap().to_owned()
}

async fn call(control_plane: &ControlPlane, token: &str, method: Method, path: &str, body: Option<&Value>) -> Reply {
    let request = client()
        .request(method, format!("{}{path}", control_plane.url()))
        .bearer_auth(token);
    Reply::of(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

/// True if a file of the data folder holds this text.
fn files_hold(control_plane: &ControlPlane, text: &str) -> bool {
    let files = std::fs::read_dir(control_plane.data_folder()).unwrap();
    files.into_iter().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
