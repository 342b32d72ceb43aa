import Artifacts
import Recordings
import Testing
import Training

@testable import SEMGTrain

/// Suggestions, numbers and tables, without running anything.
struct WordingTests {
  @Test(arguments: [
    ("trian", "train"), ("evalute", "evaluate"), ("TRAIN", "train"), ("predic", "predict"),
    ("synth", "synthesize"), ("devcies", "devices"),
  ])
  func aSlipFindsItsWord(_ typed: String, _ meant: String) {
    let commands = ["train", "evaluate", "predict", "inspect", "split", "synthesize", "devices"]
    #expect(Suggestions.nearest(to: typed, among: commands) == meant)
  }

  @Test func otherWordsFindNone() {
    #expect(Suggestions.nearest(to: "bogus", among: ["json", "data", "seed"]) == nil)
    #expect(Suggestions.nearest(to: "", among: ["json"]) == nil)
    #expect(Suggestions.nearest(to: "json", among: []) == nil)
  }

  @Test func swappedNeighboursAreOneSlip() {
    #expect(Suggestions.slips(from: Array("trian"), to: Array("train")) == 1)
    #expect(Suggestions.slips(from: Array(""), to: Array("abc")) == 3)
    #expect(Suggestions.slips(from: Array("abc"), to: Array("abc")) == 0)
  }

  @Test func figuresAreRoundedAndKeepTheirSign() {
    #expect(Figure.fixed(0.05, 1) == "0.1")
    #expect(Figure.fixed(-0.04, 1) == "0.0")
    #expect(Figure.fixed(-1.25, 1) == "-1.3")
    #expect(Figure.fixed(1234.5, 0) == "1235")
    #expect(Figure.fixed(.nan, 2) == "nan")
    #expect(Figure.fixed(1e300, 2) == "1e+300")
    #expect(Figure.percent(0.8455) == "84.6 %")
    #expect(Figure.plain(512) == "512")
    #expect(Figure.plain(49.5) == "49.5")
  }

  @Test func numbersAreReadAsPeopleWriteThem() {
    for (text, value) in [("5", 5), ("+0.5", 0.5), (".5", 0.5), ("5.", 5), ("1e-3", 1e-3)] {
      #expect(OptionValue.decimal(text) == value)
    }
    for text in ["0x10", "0x1p4", "inf", "nan", "-infinity", "1e999", "", ".", "1,5", " 1", "١"] {
      #expect(OptionValue.decimal(text) == nil)
    }
  }

  @Test func signsThatTurnTheLettersAreShown() {
    #expect(Console.harmless("a\u{202E}gnp.csv\u{1B}") == "a\\u{202E}gnp.csv\\u{1B}")
    #expect(
      RecordingError.noGesture(file: "a\nerror: b.csv").description.hasPrefix("a\\nerror: b.csv: "))
  }

  @Test func namesThatDifferInTheUnitAreToldApart() {
    let names = (1...2).map { "ch\($0)" }
    func words(_ found: [String]) -> String {
      RecordingMismatch.otherNames(
        found: found, expected: names, reference: .training, channels: nil
      ).description
    }
    #expect(words(["ch1 [mV]", "CH2 (mV)"]).contains("the names differ in the unit alone"))
    #expect(words(["emg1", "emg2"]).contains("rename them in its header"))
    let rate = RecordingMismatch.otherRate(
      place: "column 1 (time)", found: 2000, expected: 512, reference: .training)
    #expect(rate.description.contains("resample the recording to 512"))
    #expect(!rate.description.contains("--sample-rate"))
  }

  @Test func aRecipesNameIsTheSameInTheFile() {
    #expect(Preprocessing.recipes == Recipe.names)
  }

  @Test func timesAndBytesAreForPeople() {
    #expect(Figure.time(59.6) == "1:00")
    #expect(Figure.time(3723) == "1:02:03")
    #expect(Figure.time(.infinity) == "?")
    #expect(Figure.bytes(1_234_567_890) == "1.2 GB")
    #expect(Figure.bytes(999) == "999 bytes")
    #expect(Figure.count(1, "file") == "1 file")
    #expect(Figure.count(0, "file") == "0 files")
  }

  /// One model with all that is known, several at the same time with what fits.
  @Test func whereTrainingStandsFitsIntoEightyColumns() {
    func progress(_ model: String, secondsLeft: Double) -> StepProgress {
      StepProgress(
        model: model, epoch: 60, epochs: 60, step: 1231, steps: 1231, loss: 1.23456,
        accuracy: 0.98765, samplesPerSecond: 23_456, secondsLeft: secondsLeft)
    }
    let one = TrainingProgress.line([progress("inception-se", secondsLeft: 3599)])
    #expect(
      one == "inception-se 60/60 100 %  loss 1.2346  acc 98.8 %  23456 samples/s  59:59 left")
    let both = TrainingProgress.line([
      progress("inception-se", secondsLeft: 3600), progress("semg-net", secondsLeft: 36_000),
    ])
    #expect(both == "inception-se 60/60 100 %  1.2346  semg-net 60/60 100 %  1.2346  10:00:00 left")
    #expect(one.count < 80 && both.count < 80)
  }

  @Test func columnsOfATableAlign() {
    var table = TextTable(header: ["part", "all"])
    table.append(["validation", "7"])
    #expect(table.text == "part        all\nvalidation    7")
  }
}
