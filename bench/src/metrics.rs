//! What a running bridge counts, scraped as Prometheus does.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Series and their values.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Scrapes the listener for operators.
    ///
    /// # Errors
    ///
    /// When it does not answer, or not with metrics.
    pub async fn scrape(admin: SocketAddr) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(admin).await?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
        if !head.starts_with("HTTP/1.1 200 ") {
            bail!("{head}");
        }
        let series = body.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        Ok(Self(series.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()))
    }

    /// The sum of the series of this name that have this label, as it is written: `result="delivered"`; of all with `""`.
    #[must_use]
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let is_of = |series: &str| {
            let labels = series.strip_prefix(name);
            labels.is_some_and(|labels| (labels.is_empty() || labels.starts_with('{')) && labels.contains(label))
        };
        self.0.iter().filter(|(series, _)| is_of(series)).map(|(_, value)| value).sum()
    }

    /// The same as a number of things.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, far below 2^53")]
    pub fn count(&self, name: &str, label: &str) -> usize {
        self.sum(name, label) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "whole numbers")]
    fn series_are_added_up_by_name_and_label() {
        let series =
            [("a_total{x=\"1\",y=\"2\"}", 1.0), ("a_total{x=\"2\",y=\"2\"}", 2.0), ("a_total_b", 4.0), ("c", 8.0)];
        let metrics = Metrics(series.map(|(name, value)| (name.to_owned(), value)).into());
        assert_eq!(metrics.sum("a_total", "x=\"1\""), 1.0);
        assert_eq!(metrics.sum("a_total", ""), 3.0);
        assert_eq!(metrics.sum("c", ""), 8.0);
        assert_eq!(metrics.count("d", ""), 0);
    }
}
