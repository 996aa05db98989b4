use super::*;

fn probe(body: &str) -> String {
    let source = format!("fn transform(payload, context) {{ {body} }}");
    let mut problems = Vec::new();
    let Some(script) = Script::check(&source, "s", &mut problems) else { return format!("{problems:?}") };
    let mut runner = Runner::new();
    let start = std::time::Instant::now();
    let r = runner.run(&script, br#"{"a":[1,2]}"#, &ScriptContext::default(), move || (start.elapsed().as_millis() > 100_000).then_some(Stopped::Deadline));
    let rss = std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned();
    format!("{:?} {:?} {rss}", r.map(|o| String::from_utf8_lossy(&o).chars().take(200).collect::<String>()), start.elapsed())
}

#[test]
fn explore() {
    let list = std::fs::read_to_string(std::env::var("PROBES").unwrap()).unwrap();
    let only: Option<usize> = std::env::var("ONLY").ok().and_then(|o| o.parse().ok());
    for (i, p) in list.split("\n---\n").enumerate() {
        if only.is_some_and(|o| o != i) { continue; }
        let p2 = p.to_owned();
        let stack: usize = std::env::var("STACK").ok().and_then(|o| o.parse().ok()).unwrap_or(1024);
        let out = std::thread::Builder::new().stack_size(stack << 20).spawn(move || probe(&p2)).unwrap().join();
        println!("{i}: {}\n   => {:?}", p.trim().replace('\n', " "), out);
    }
}
