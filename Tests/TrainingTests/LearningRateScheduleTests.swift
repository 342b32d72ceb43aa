import Foundation
import Testing
import Training

/// What Keras computes in float64; the generator lies beside the file.
private struct KerasRates: Decodable {
  struct Schedule: Decodable {
    let recipe: String
    let firstPeriod: Int
    let rates: [Rate]
  }
  struct Rate: Decodable {
    let step: Int
    let rate: Double
  }
  let steps: Int
  let schedules: [Schedule]

  static func load() throws -> KerasRates {
    let url = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Fixtures/learning_rates.json")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(KerasRates.self, from: Data(contentsOf: url))
  }
}

@Suite struct LearningRateScheduleTests {
  /// First, last and restart steps in double precision, from
  /// `keras.optimizers.schedules.CosineDecayRestarts(1e-3, F, t_mul=2.0, m_mul=0.9, alpha=1e-5)`.
  @Test func restartsFallWhereKerasPutsThem() {
    let schedule = TrainingRecipe.standard.schedule(firstPeriod: 10)
    #expect(abs(schedule[0] - 1e-3) < 1e-18)
    #expect(abs(schedule[5] - 0.000500005) < 1e-15)
    // cos(0.9π) = −0.951056516295154: 0.5·(1 + cos)·(1 − α) + α of 1e-3.
    #expect(abs(schedule[9] - 2.4481497e-05) < 1e-12)
    #expect(abs(schedule[10] - 0.000900001) < 1e-15)
    #expect(abs(schedule[20] - 0.4500055e-3) < 1e-15)
    #expect(abs(schedule[30] - 0.8100019e-3) < 1e-15)
    #expect(schedule[69] < 2e-6)
    #expect(abs(schedule[70] - 0.72900271e-3) < 1e-15)
  }

  /// At the first and last step of each period, where the recipes' own periods fall.
  @Test func bothRecipesFollowKeras() throws {
    let keras = try KerasRates.load()
    #expect(keras.schedules.map(\.recipe) == ["published", "standard"])
    for expected in keras.schedules {
      let recipe: TrainingRecipe = expected.recipe == "published" ? .published : .standard
      let schedule = recipe.schedule(samples: 157_500)
      #expect(schedule.firstPeriod == expected.firstPeriod)
      #expect(expected.rates.last?.step == keras.steps - 1)
      for point in expected.rates {
        let error = abs(schedule[point.step] / point.rate - 1)
        #expect(error < 1e-6, "\(expected.recipe), step \(point.step)")
      }
    }
  }

  /// 157,500 samples of the full public set, 60 epochs of 128.
  @Test func theFirstPeriodFollowsTheRecipe() {
    func firstPeriod(_ pipeline: Recipe, samples: Int, epochs: Int = 60) -> Int {
      TrainingRecipe(pipeline, epochs: epochs, batchSize: 128).schedule(samples: samples)
        .firstPeriod
    }
    #expect(firstPeriod(.published, samples: 157_500) == 22_140)
    #expect(firstPeriod(.standard, samples: 157_500) == 24_620)
    #expect(firstPeriod(.published, samples: 10, epochs: 1) == 1)
    #expect(firstPeriod(.standard, samples: 10, epochs: 1) == 1)
  }

  /// In `standard` the second, doubled period ends with the training; in `published` a restart
  /// at nine tenths undoes the end.
  @Test func onlyThePublishedScheduleRestartsBeforeTheEnd() {
    let steps = 1_231 * 60
    let standard = TrainingRecipe.standard.schedule(samples: 157_500)
    #expect(standard[steps - 1] < 2e-8)
    let published = TrainingRecipe.published.schedule(samples: 157_500)
    #expect(published[steps - 1] > 7e-4)
  }
}
