import Foundation
import TestSupport
import Testing

/// What the documentation tells people to run computes what it says.
struct DocumentationTests {
  private struct Answer: Decodable {
    let starts: [Int]
    let gestures: [Int]
    let probabilities: [[Double]]
  }

  @Test(
    .enabled(if: WitnessPython.isExpected, "no Python with Keras at \(WitnessPython.path)"),
    .enabled(if: runsSlowTests, "long without optimization"),
    arguments: [["--notch", "50"], ["--notch", "off", "--recipe", "published"]])
  func thePythonOfThePreprocessingPageGivesOurProbabilities(options: [String]) throws {
    let semgTrain = try SemgTrain()
    let place = semgTrain.directory
    let recordings = try SmallRecordings(in: place, samples: 700)
    let training = try semgTrain.run(
      SemgTrain.brief.map { $0 == "semg-net" ? "inception-se,semg-net" : $0 }
        + options + ["--output", "run"])
    #expect(training.status == 0, "\(training.error)")

    let page = try String(
      contentsOf: SharedData.packageRoot.appending(path: "Documentation/preprocessing.md"),
      encoding: .utf8)
    let start = try #require(page.range(of: "```python\n"))
    let end = try #require(page.range(of: "```", range: start.upperBound..<page.endIndex))
    try page[start.upperBound..<end.lowerBound].write(
      toFile: place.file("page.py"), atomically: false, encoding: .utf8)
    let recording = "\(SmallRecordings.name)/\(recordings.paths[0])"
    let said = try WitnessPython.run(
      place.file("page.py"), [place.file("run"), place.file(recording)],
      log: place.file("page.log"))
    let answer = try JSONDecoder().decode(Answer.self, from: said)

    let prediction = try semgTrain("predict", "--artifacts", "run", recording, "--json")
    let line = try #require(try SemgTrain.objects(prediction.output).first)
    let windows = try #require(line["windows"] as? [[String: Any]])
    #expect(windows.count == 7)
    #expect(windows.compactMap { $0["start"] as? Int } == answer.starts)
    #expect(answer.gestures == [0, 1])
    for (window, expected) in zip(windows, answer.probabilities) {
      let found = try #require(window["probabilities"] as? [Double])
      #expect(found.count == expected.count)
      for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-6, "\(a) \(b)") }
    }
  }
}
