//! How well, how fast and in how much memory user agents are read: `cargo bench --bench agents`.
//!
//! Accuracy is counted against `benches/agents/top.tsv`: the hundred commonest agents of late 2026 with the
//! browser and system that `ua-parser` (uap-core) reads in each, its names changed to ours. Further files of
//! agents, one a line, may be named after `--`; of those the share called machines is printed. The figures
//! of other libraries beside this are in docs/DECISIONS.md.

use passerby_engine::agent::{self, Agents};
use std::hint::black_box;
use std::time::Instant;

const TOP: &str = include_str!("agents/top.tsv");

fn main() {
    let agents: Vec<&str> = TOP.lines().filter_map(|line| line.split('\t').nth(2)).collect();
    let before = memory_kb();
    let start = Instant::now();
    black_box((agent::device(agents[0]), agent::is_bot(agents[0])));
    println!("first agent         {:>8.0} us", start.elapsed().as_secs_f64() * 1e6);

    let (mut right, mut people) = (0, 0);
    for line in TOP.lines() {
        let mut columns = line.split('\t');
        let (browser, system) = (columns.next().unwrap_or(""), columns.next().unwrap_or(""));
        let agent = columns.next().unwrap_or("");
        let device = agent::device(agent);
        people += usize::from(!agent::is_bot(agent));
        if device.browser == browser && device.system == system {
            right += 1;
        } else {
            println!("  read {} on {}, not {browser} on {system}: {agent}", device.browser, device.system);
        }
    }
    println!("browser and system  {right:>8} of {}", agents.len());
    println!("people              {people:>8} of {}", agents.len());

    let cache = Agents::new([7; 16]);
    time("device", &agents, |agent| drop(black_box(agent::device(agent))));
    time("is_bot", &agents, |agent| {
        black_box(agent::is_bot(agent));
    });
    time("both, cached", &agents, |agent| drop(black_box(cache.look_up(agent))));
    println!("memory              {:>8} KB more than at the start", memory_kb().saturating_sub(before));

    for path in std::env::args().skip(1).filter(|arg| !arg.starts_with("--")) {
        let text = std::fs::read(&path).expect("a file of agents");
        let text = String::from_utf8_lossy(&text);
        let bots = text.lines().filter(|agent| agent::is_bot(agent)).count();
        println!("{bots} machines of {} in {path}", text.lines().count());
    }
}

/// Prints the time for an agent: the median of 21 runs of 100 rounds.
fn time(name: &str, agents: &[&str], read: impl Fn(&str)) {
    let mut runs: Vec<f64> = (0..21)
        .map(|_| {
            let start = Instant::now();
            (0..100).for_each(|_| agents.iter().for_each(|agent| read(agent)));
            start.elapsed().as_nanos() as f64 / (100 * agents.len()) as f64
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    println!("{name:<19} {:>8.0} ns", runs[10]);
}

fn memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}
