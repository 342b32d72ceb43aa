import Foundation
import Training

/// The figures of a part, for people.
struct ReportText {
  private let report: PartReport
  /// Of the terminal; nil for none.
  private let width: Int?

  init(_ report: PartReport, width: Int? = Console.outputColumns) {
    (self.report, self.width) = (report, width)
  }

  var text: String {
    let part = report.part == "all" ? "all recordings" : "the \(report.part) part"
    let skipped =
      report.skipped.isEmpty ? "" : ", \(Figure.count(report.skipped.count, "file")) skipped"
    var blocks = [
      "On \(part): \(Figure.count(report.recordings, "recording")), "
        + "\(Figure.count(report.windows, "window"))\(skipped)" + remarks,
      summary,
    ]
    let who = report.models.count > 1 ? "ensemble" : report.models.keys.first ?? "model"
    blocks.append("Confusion of the windows (\(who)):\n" + confusion(report.ensemble))
    blocks.append("By gesture (\(who)):\n" + perClass(report.ensemble))
    if report.ensemble.perSubject.count > 1 {
      blocks.append("By subject (\(who)):\n" + perSubject(report.ensemble))
    }
    return blocks.joined(separator: "\n\n")
  }

  /// What the figures have to be read with, a line each.
  private var remarks: String {
    var lines: [String] = []
    if let seen = report.seen, seen.trainedOn + seen.choseEpoch > 0 { lines.append(seen.sentence) }
    if let weights = report.ensembleWeights, Set(weights.values).count > 1 {
      let list = weights.sorted { $0.key < $1.key }.map { "\($0.key) \(Figure.plain($0.value))" }
      lines.append("Ensemble weights: " + list.joined(separator: ", "))
    }
    return lines.map { "\n" + $0 }.joined()
  }

  private var summary: String {
    var table = TextTable(header: ["", "accuracy", "macro-F1", "recordings right"])
    func append(_ name: String, _ metrics: Metrics) {
      table.append([
        name, Figure.percent(metrics.accuracy), Figure.fixed(metrics.macroF1, 4),
        Figure.percent(metrics.recordingAccuracy),
      ])
    }
    for (name, metrics) in report.models.sorted(by: { $0.key < $1.key }) { append(name, metrics) }
    if report.models.count > 1 { append("ensemble", report.ensemble) }
    return table.text(within: width)
  }

  private func confusion(_ metrics: Metrics) -> String {
    let names = metrics.perClass.map { "→ \($0.gesture)" }
    var table = TextTable(header: ["gesture"] + names)
    for (row, entry) in zip(metrics.confusion, metrics.perClass) {
      table.append(["\(entry.gesture)"] + row.map(String.init))
    }
    return table.isTooWide(for: width) ? mistakes(metrics) : table.text(within: width)
  }

  /// Where the confusion is too wide for the terminal: what was taken for what, the most frequent
  /// first.
  private func mistakes(_ metrics: Metrics) -> String {
    let gestures = metrics.perClass.map(\.gesture)
    var mistakes: [(was: Int, told: Int, windows: Int)] = []
    for (was, row) in zip(gestures, metrics.confusion) {
      for (told, windows) in zip(gestures, row) where windows > 0 && told != was {
        mistakes.append((was, told, windows))
      }
    }
    guard !mistakes.isEmpty else { return "none: each window shows its gesture" }
    var table = TextTable(header: ["gesture", "taken for", "windows"])
    // Equally frequent ones stay in the gestures' order: the sort is stable.
    for mistake in mistakes.sorted(by: { $0.windows > $1.windows }) {
      table.append(["\(mistake.was)", "\(mistake.told)", "\(mistake.windows)"])
    }
    return table.text(within: width)
  }

  private func perClass(_ metrics: Metrics) -> String {
    var table = TextTable(header: ["gesture", "precision", "recall", "F1", "windows"])
    for entry in metrics.perClass {
      table.append([
        "\(entry.gesture)", Figure.percent(entry.precision), Figure.percent(entry.recall),
        Figure.fixed(entry.f1, 4), "\(entry.windows)",
      ])
    }
    return table.text(within: width)
  }

  private func perSubject(_ metrics: Metrics) -> String {
    var table = TextTable(header: ["subject", "accuracy", "macro-F1", "windows"])
    let subjects = metrics.perSubject.sorted {
      (Int($0.key) ?? .max, $0.key) < (Int($1.key) ?? .max, $1.key)
    }
    for (subject, entry) in subjects {
      table.append([
        subject, Figure.percent(entry.accuracy), Figure.fixed(entry.macroF1, 4), "\(entry.windows)",
      ])
    }
    return table.text(within: width)
  }
}
