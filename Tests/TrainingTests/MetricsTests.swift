import Foundation
import Testing
import Training

@Suite struct MetricsTests {
  /// Six windows of two recordings and three classes; figures from scikit-learn's
  /// `precision_recall_fscore_support(y, p, labels=[0, 1, 2], zero_division=0)` worked by hand.
  static let metrics = Metrics(
    probabilities: [
      0.8, 0.1, 0.1,
      0.3, 0.6, 0.1,
      0.7, 0.2, 0.1,
      0.1, 0.8, 0.1,
      0.5, 0.4, 0.1,
      0.45, 0.4, 0.15,
    ],
    labels: [0, 0, 0, 1, 1, 1], recordings: [4, 4, 4, 9, 9, 9],
    subjects: [3, 3, 3, nil, nil, nil], gestures: [0, 2, 5])

  @Test func confusionRowsAreLabels() {
    #expect(Self.metrics.confusion == [[2, 1, 0], [2, 1, 0], [0, 0, 0]])
    #expect(Self.metrics.accuracy == 0.5)
  }

  @Test func aClassWithoutWindowsCountsAsZero() {
    let f1 = Self.metrics.perClass.map(\.f1)
    #expect(abs(f1[0] - 4.0 / 7) < 1e-15)
    #expect(abs(f1[1] - 0.4) < 1e-15)
    #expect(f1[2] == 0)
    #expect(abs(Self.metrics.macroF1 - (4.0 / 7 + 0.4) / 3) < 1e-15)
    #expect(Self.metrics.perClass.map(\.gesture) == [0, 2, 5])
    #expect(Self.metrics.perClass.map(\.windows) == [3, 3, 0])
  }

  /// The second recording's mean is 0.35 : 0.533, but two of its three windows vote for class 0.
  @Test func recordingsAreJudgedByTheirMeanAndByMajority() {
    #expect(Self.metrics.recordingAccuracy == 1)
    #expect(Self.metrics.recordingMajorityAccuracy == 0.5)
  }

  @Test func subjectsAreMeasuredApart() {
    #expect(Self.metrics.perSubject["3"]?.accuracy == 2.0 / 3)
    #expect(Self.metrics.perSubject["none"]?.windows == 3)
  }

  @Test func majorityTiesGoToTheHigherSum() {
    let prediction = Prediction(windows: [[0.6, 0.4], [0.1, 0.9]])
    #expect(prediction.majority == 1)
    #expect(prediction.classIndex == 1)
    #expect(abs(prediction.confidence - 0.65) < 1e-6)
  }

  @Test func theJSONHasTheDocumentedKeys() throws {
    let data = try JSONEncoder().encode(Self.metrics)
    let object = try #require(
      JSONSerialization.jsonObject(with: data) as? [String: Any])
    for key in [
      "accuracy", "macro_f1", "recording_accuracy", "per_class", "confusion", "per_subject",
    ] {
      #expect(object[key] != nil, "\(key)")
    }
    #expect(try JSONDecoder().decode(Metrics.self, from: data) == Self.metrics)
  }
}

@Suite struct EnsembleTests {
  @Test func theMeanOfTheModelsIsThePrediction() throws {
    #expect(try Ensemble.mean([[0.2, 0.8], [0.6, 0.4]]) == [0.4, 0.6])
    #expect(try Ensemble.mean([[0, 1], [1, 0]], weights: [3, 1]) == [0.25, 0.75])
  }

  @Test(arguments: [[0.0, 0.0], [1.0], [-1.0, 2.0], [.nan, 1.0]])
  func weightsThatMakeNoMeanAreRefused(weights: [Double]) {
    #expect(throws: TrainingError.self) { try Ensemble.mean([[1], [0]], weights: weights) }
  }
}
